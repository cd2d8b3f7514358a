"""Which number format a run computes in: bfloat16 only where the hardware multiplies it fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import keras

__all__ = ["choose_precision", "has_fast_bfloat16", "list_devices"]

_BFLOAT16_FLAGS: Final = ("avx512_bf16", "amx_bf16")


def list_devices() -> list[str]:
    """Return the devices that the Keras backend computes on, for example ``["cuda:0"]``."""
    if keras.backend.backend() == "torch":  # keras.distribution knows no devices of PyTorch
        import torch

        return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu:0"]
    return list(keras.distribution.list_devices())


def has_fast_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether this machine multiplies bfloat16 faster than float32.

    True on a machine with an accelerator that Keras sees, and on processors with AVX-512-BF16 or
    AMX. Only Linux tells which instructions a processor has; elsewhere the answer is False.

    Args:
        cpuinfo: Where Linux lists the processor's features.
    """
    if not all(name.lower().startswith("cpu") for name in list_devices()):
        return True
    if not sys.platform.startswith("linux") or not cpuinfo.is_file():
        return False
    words = set(cpuinfo.read_text(encoding="ascii", errors="ignore").split())
    return any(flag in words for flag in _BFLOAT16_FLAGS)


def choose_precision(wanted: str) -> str:
    """Return the Keras dtype policy for a recipe's ``precision``.

    Args:
        wanted: ``auto``, ``float32`` or ``mixed_bfloat16``.
    """
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if has_fast_bfloat16() else "float32"

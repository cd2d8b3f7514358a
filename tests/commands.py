"""The command line as processes of their own."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["TRAINING"]

TRAINING: Final = [
    sys.executable,
    "-c",
    "import runpy, sys\n"
    "sys.modules.update(dict.fromkeys(['jax', 'pandas', 'sklearn']))\n"
    "runpy.run_module('facial_expressions', run_name='__main__', alter_sys=True)",
]
"""The command without packages that Keras imports where they are there, for half of its start."""

"""Feeds spoilt images, models and names to the loaders and a server: only contracted answers come.

Everything is derived from the seed, so a finding can be repeated: its number is in the results. The
loaders run in a process of their own, which a crash may end. Results are written as JSON; the exit
code is 1 when anything was found.

Example:
    python -m tests.trials.fuzz
    python -m tests.trials.fuzz --images 500 --requests 50 --models 50 --names 50 --seed 7
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from benchmarks.record import write_results
from benchmarks.server_process import ask, resident_mb, serving
from facial_expressions.errors import ImageError
from facial_expressions.images import load_image
from tests.trials.findings import Findings
from tests.trials.fuzz_text_and_models import feed_models, feed_names
from tests.trials.mutations import images, mutated

__all__ = ["feed_loader", "main"]

MAX_PIXELS: Final = 50_000_000
MEMORY_MB: Final = 600
REFUSAL_MB: Final = 300
REFUSAL_S: Final = 3.0
"""Most memory and processor time that opening or refusing a model may take."""

ALLOWED: Final = frozenset({200, 400, 413, 415, 422})
_BOUNDARY: Final = "fuzz-boundary"
_CHUNK: Final = 250


def main() -> int:
    """Feed both and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000, help="through the loader")
    parser.add_argument("--requests", type=int, default=2_000, help="through a server")
    parser.add_argument("--models", type=int, default=2_000, help="opened")
    parser.add_argument("--names", type=int, default=2_000, help="written everywhere")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="default")
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "START", "COUNT"))
    options = parser.parse_args()
    if options.worker:
        kind, start, count = options.worker
        _work(kind, options.seed, int(start), int(count))
        return 0
    inside = {
        kind: _run_workers(kind, options.seed, count)
        for kind, count in (
            ("loader", options.images), ("models", options.models), ("names", options.names)
        )
    }  # fmt: skip
    server = _feed_server(options.seed, options.requests, options.model)
    figures = {"seed": options.seed, **inside, "server": server}
    write_results("fuzz", figures)
    found = [one for part in (*inside.values(), server) for one in part["violations"]]
    for violation in found:
        print(violation, file=sys.stderr)
    return 1 if found else 0


def feed_loader(seed: int, start: int, count: int) -> Findings:
    """Read spoilt images in this process.

    Args:
        seed: Of the spoiling.
        start: Number of the first.
        count: How many.
    """
    findings = Findings()
    for number, data in mutated(images(), seed=seed, start=start, count=count):
        began = time.perf_counter()
        allowed = True
        try:
            image = load_image(data, max_pixels=MAX_PIXELS)
            outcome = "ok"
            allowed = image.ndim == 3 and image.shape[2] == 3 and image.size > 0
        except ImageError as error:
            outcome = type(error).__name__
        except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
            outcome, allowed = f"{type(error).__name__}: {error}"[:200], False
        findings.note(number, outcome, time.perf_counter() - began, allowed=allowed)
    return findings


_FEED: Final = {"loader": feed_loader, "models": feed_models, "names": feed_names}


def _work(kind: str, seed: int, start: int, count: int) -> None:
    """Feed a loader in pieces; a line of JSON after each says that it is alive."""
    import resource

    warnings.simplefilter("ignore")
    for first in range(start, start + count, _CHUNK):
        findings = _FEED[kind](seed, first, min(_CHUNK, start + count - first))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**findings.to_dict(), "peak_mb": peak_mb}), flush=True)


def _run_workers(kind: str, seed: int, count: int) -> dict[str, Any]:
    """Feed a loader in a process of its own, and in another one after a crash."""
    total = Findings()
    peak_mb, start, n_crashes = 0.0, 0, 0
    while start < count:
        words = ["--seed", str(seed), "--worker", kind, str(start), str(count - start)]
        command = [sys.executable, "-m", "tests.trials.fuzz", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
            assert process.stdout
            for line in process.stdout:
                part = json.loads(line)
                total.outcomes.update(part["outcomes"])
                total.violations += part["violations"]
                total.slowest_s = max(total.slowest_s, part["slowest_s"])
                total.refused_mb = max(total.refused_mb, part["refused_mb"])
                peak_mb = max(peak_mb, part["peak_mb"])
                start += part["inputs"]
        if process.returncode:
            n_crashes += 1
            total.violations.append(
                f"crash with {process.returncode} in inputs {start} to {start + _CHUNK - 1}"
            )
            start += _CHUNK
    if peak_mb > MEMORY_MB or total.refused_mb > REFUSAL_MB:
        total.violations.append(f"{kind}: {max(peak_mb, total.refused_mb):.0f} MB were taken")
    if kind == "models" and total.slowest_s > REFUSAL_S:
        total.violations.append(f"{kind}: one took {total.slowest_s:.1f} s")
    return {**total.to_dict(), "peak_mb": round(peak_mb, 1), "crashes": n_crashes}


def _feed_server(seed: int, count: int, model: str) -> dict[str, Any]:
    findings = Findings()
    peak_mb = 0.0

    def send(item: tuple[int, bytes]) -> tuple[int, int, bytes, float]:
        number, data = item
        content_type = ""
        if number % 10 == 9:
            data, content_type = _in_form(data), f"multipart/form-data; boundary={_BOUNDARY}"
        path = "/v1/classify" if number % 7 == 6 else "/v1/recognize"
        began = time.perf_counter()
        try:
            status, body = ask(port, "POST", path, data, content_type)
        except OSError as error:
            return number, 0, type(error).__name__.encode(), time.perf_counter() - began
        return number, status, body, time.perf_counter() - began

    inputs = mutated(images(), seed=seed + 1, start=0, count=count)
    with serving("--model", model) as (process, port), ThreadPoolExecutor(2) as pool:
        for number, status, body, took_s in pool.map(send, inputs):
            allowed = status in ALLOWED and _is_answer(status, body)
            findings.note(number, str(status), took_s, allowed=allowed)
            if number % 50 == 0:
                peak_mb = max(peak_mb, resident_mb(process.pid))
        peak_mb = max(peak_mb, resident_mb(process.pid))
        deaths = re.search(rb"decoder_deaths ([\d.]+)", ask(port, "GET", "/metrics")[1])
        if ask(port, "GET", "/healthz")[0] != 200 or process.poll() is not None:
            findings.violations.append("the server is not alive at the end")
    if peak_mb > MEMORY_MB:
        findings.violations.append(f"the server took {peak_mb:.0f} MB")
    n_deaths = float(deaths[1]) if deaths else 0
    return {**findings.to_dict(), "peak_mb": round(peak_mb, 1), "decoder_deaths": n_deaths}


def _is_answer(status: int, body: bytes) -> bool:
    """Tell whether a body has the shape that goes with its status."""
    content = json.loads(body)
    wanted = {"schema", "status"} if status == 200 else {"code", "message", "request_id"}
    return wanted <= set(content)


def _in_form(data: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())

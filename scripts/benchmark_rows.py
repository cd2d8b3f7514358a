"""The lines of the tables of measured speeds: what is measured, where, and what it has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of targets.

    Attributes:
        what: What is measured.
        benchmark: The file of results that has it.
        keys: Where in its figures.
        form: How the number is written.
        must: What it has to be.
        aim: What it is meant to become.
    """

    what: str
    benchmark: str
    keys: tuple[str, ...]
    form: str = "{:.2f}x"
    must: str = ""
    aim: str = ""


ROWS: Final = (
    Row(
        "one crop, one thread, the default `compact-int8`, against `fer`'s Keras path", "peer",
        ("one crop, one thread", "compact-int8 against keras", "ratio"), "{:.1f}x", "15x", "30x",
    ),
    Row(
        "the same, `compact`", "peer",
        ("one crop, one thread", "compact against keras", "ratio"), "{:.1f}x",
    ),
    Row(
        "one crop, one thread, `standardized-cnn`, against `fer`'s TFLite path", "peer",
        ("one crop, one thread", "standardized-cnn against tflite", "ratio"),
        must="0.5x", aim="1.2x",
    ),
    Row(
        "the same, `standardized-cnn-int8`", "peer",
        ("one crop, one thread", "standardized-cnn-int8 against tflite", "ratio"),
        must="0.5x", aim="1.2x",
    ),
    Row(
        "256 crops, all cores, `standardized-cnn`, against `fer`'s TFLite path", "peer",
        ("256 crops, all cores", "standardized-cnn against tflite", "ratio"), must="2x", aim="5x",
    ),
    Row(
        "the same, `standardized-cnn-int8`", "peer",
        ("256 crops, all cores", "standardized-cnn-int8 against tflite", "ratio"),
        must="2x", aim="5x",
    ),
    Row(
        "256 crops, all cores, `compact-int8`, against `fer`'s Keras path", "peer",
        ("256 crops, all cores", "compact-int8 against keras", "ratio"),
    ),
    Row(
        "share of the best 8-bit matrix product, 256 crops, `compact-int8`", "peak",
        ("share", "compact-int8"), "{:.0%}", "40 %", "65 %",
    ),
    Row(
        "the same, share of the best float32 matrix product", "peak",
        ("share_of_float32", "compact-int8"), "{:.0%}", "40 %", "65 %",
    ),
    Row(
        "share of the best float32 matrix product, 256 crops, `compact`", "peak",
        ("share", "compact"), "{:.0%}", "40 %", "65 %",
    ),
    Row(
        "share of the best float32 matrix product, 256 crops, `standardized-cnn`", "peak",
        ("share", "standardized-cnn"), "{:.0%}",
    ),
    Row(
        "share of the best 8-bit matrix product, 256 crops, `standardized-cnn-int8`", "peak",
        ("share", "standardized-cnn-int8"), "{:.0%}",
    ),
    Row(
        "photo 1280x720, one face, end to end, against `fer` with its default detector", "peer",
        ("photo 1280x720", "ratio"), must="2x", aim="5x",
    ),
    Row(
        "video 640x480, one face, a detection on every frame, frames/s", "peer",
        ("video 640x480", "detection on every 1", "frames_per_s"), "{:.0f}", "30", "100",
    ),
    Row(
        "the same, against `fer`", "peer", ("video 640x480", "detection on every 1", "ratio"),
    ),
    Row(
        "video 640x480, one face, a detection on every fifth frame, frames/s", "peer",
        ("video 640x480", "detection on every 5", "frames_per_s"), "{:.0f}",
    ),
    Row(
        "video of a minute, 640x480, two faces that cross, a detection on every frame, frames/s",
        "video", ("crossing", "frames_per_second"), "{:.1f}", "25",
    ),
    Row(
        "the same with `--every auto`, in real time, frames/s", "video",
        ("real_time", "frames_per_second"), "{:.1f}", "25",
    ),
    Row(
        "its memory after 10 s against the end, with a detection on every frame, MB more", "video",
        ("crossing", "memory_growth_mb"), "{:.1f}", "20",
    ),
    Row(
        "label switches a minute, a still face in noise, without smoothing", "video",
        ("flicker", "switches_per_minute", "smooth 0"), "{:.0f}",
    ),
    Row(
        "the same with `--smooth 0.5`", "video",
        ("flicker", "switches_per_minute", "smooth 0.5"), "{:.1f}", "a fifth",
    ),
    Row(
        "the page with a camera of 640x480, browser on the same cores, frames/s", "page",
        ("frames_per_s",), "{:.0f}", "10",
    ),
    Row(
        "training the seed's network, images/s against plain `fit` in float32", "training_speed",
        ("ratio",), must="1.9x", aim="3x",
    ),
    Row(
        "batch, 2 processes against 1", "batch_scaling", ("ratios", "2 processes against 1"),
        must="1.7x", aim="1.95x",
    ),
    Row(
        "Ray, 2 local workers, against our own 2 processes", "batch_scaling",
        ("ratios", "Ray, 2 workers, against 2 processes"), must="0.7x", aim="0.9x",
    ),
    Row(
        "`import facial_expressions`, Python's own start included, ms", "import_time",
        ("import facial_expressions", "median_ms"), "{:.0f}", "100",
    ),
    Row(
        "`facial-expressions --help`, ms", "import_time",
        ("facial-expressions --help", "median_ms"), "{:.0f}", "200",
    ),
    Row(
        "one photo by `predict`, from nothing, ms", "import_time",
        ("facial-expressions predict", "median_ms"), "{:.0f}", "1000",
    ),
    Row(
        "largest resident memory of `predict`, MB", "footprint",
        ("peak_memory_mb", "predict, one photo"), "{:.0f}", "250",
    ),
    Row("base install, MB", "footprint", ("base_install_mb",), "{:.0f}", "", "250"),
)  # fmt: skip


TRUST: Final = (
    Row(
        "server at 0.7 of its capacity, p99 of answers, ms", "load",
        ("steady", "ok_ms", "p99"), "{:.0f}", "250",
    ),
    Row(
        "server at twice its capacity, p99 of refusals, ms", "load",
        ("overload", "refused_ms", "p99"), "{:.0f}", "50",
    ),
    Row("the same, p99 of liveness, ms", "load", ("overload", "alive_ms", "p99"), "{:.0f}", "100"),
    Row("the same, memory, MB", "load", ("overload", "memory_mb"), "{:.0f}", "600"),
    Row("20,000 spoilt pictures, memory, MB", "fuzz", ("loader", "peak_mb"), "{:.0f}", "600"),
    Row("the slowest of them, s", "fuzz", ("loader", "slowest_s"), "{:.2f}", "5"),
    Row(
        "20 trainings that were killed: those that end with the same bits", "crash_test",
        ("training", "equal"), "{:.0f}", "20",
    ),
)  # fmt: skip
"""What `make load`, `fuzz` and `crash-test` found; they take too long for `make bench`."""

"""The script that fills measured speeds into the pages."""

from __future__ import annotations

import re

import pytest

from scripts.pages import ROOT
from scripts.update_benchmarks import (
    BLOCKS,
    Results,
    cost,
    detection,
    faults,
    fill,
    origins,
    read_targets,
    targets,
    times,
)

PAGE = "before\n<!-- benchmarks: {kind} -->\nold\n<!-- /benchmarks -->\nafter\n"


@pytest.fixture
def results() -> Results:
    """Results of two benchmarks: 100 photos a second by two workers, 50 frames on four cores."""
    origin = {
        "time": "2026-01-02T03:04:05+00:00", "commit": "abc", "versions": {"onnxruntime": "1.2.3"},
        "machine": {"processor": "Some CPU", "cores": 4},
    }  # fmt: skip
    runs = {"2 processes": {"photos_per_s": 100.0}}
    peer = {
        "photo 1280x720": {"ours_ms": 10.0, "theirs_ms": 25.0, "ratio": 2.5},
        "video 640x480": {"detection on every 1": {"frames_per_s": 50.0}},
        "one crop, one thread": {
            "compact-int8 against keras": {"ours_ms": 2.0, "theirs_ms": 48.0, "ratio": 24.0}
        },
    }
    labels = {"photos": 2, "many": {"faces": 3, "same": 3}, "ray": {"faces": 3, "same": 2}}
    return {
        "batch_scaling": {**origin, "benchmark": "batch_scaling", "figures": {"runs": runs}},
        "peer": {**origin, "benchmark": "peer", "figures": peer},
        "same_labels": {**origin, "benchmark": "same_labels", "figures": labels},
    }


def test_only_the_block_changes_and_filling_twice_changes_nothing_more(results: Results) -> None:
    filled = fill(PAGE.format(kind="targets"), results)
    assert filled.startswith("before\n<!-- benchmarks: targets -->\n| what ")
    assert filled.endswith("|\n<!-- /benchmarks -->\nafter\n")
    assert "old" not in filled
    assert fill(filled, results) == filled


def test_what_was_measured_stands_beside_what_was_aimed_at(results: Results) -> None:
    lines = targets(results)
    assert any("Keras path | `peer` | 24.0x | 15x | 30x |" in line for line in lines)
    assert any("default detector | `peer` | 2.50x | 3x | 5x |" in line for line in lines)
    assert any("frames/s | `peer` | 50 | 30 | 100 |" in line for line in lines)
    assert any("| 5 of 6 faces, 2 modes | 100% |" in line for line in lines)


def test_every_peer_has_its_times_beside_ours() -> None:
    pair = {"ours_ms": 2.5, "theirs_ms": 200.25, "ratio": 80.1}
    figures = {"peer": {"threads": 1}, "frame": {"images": 8, "one thread, ssd": pair}}
    commit = {"peer": {"commit": "abc"}, "batch, 2 processes": pair}
    held = {"peer": {"photo": pair}, "peer_web": figures, "against": commit}
    assert times({name: {"figures": one} for name, one in held.items()})[2:] == [
        "| `fer` | photo | 2.50 | 200.25 |",
        "| `face-api` | frame: one thread, ssd | 2.50 | 200.25 |",
        "| earlier commit | batch, 2 processes | 2.50 | 200.25 |",
    ]


def test_found_faces_stand_under_their_widths() -> None:
    settings = {
        "1x1, full": {"ms": 12.4, "found": {"12": 0.5, "96": 1.0}, "false": 3},
        "2x2, full": {"ms": 2.5, "found": {"12": 0.25}, "false": 0},
    }
    lines = detection({"detection": {"figures": {"threads": 2, **settings}}})
    assert lines[0] == "| image, searched in | ms | 12 px | 96 px | false |"
    assert lines[2:] == ["| 1x1, full | 12 | 50% | 100% | 3 |", "| 2x2, full | 2 | 25% |  | 0 |"]


def test_what_was_not_measured_says_so() -> None:
    for kind, block in BLOCKS.items():
        assert "not measured" in "\n".join(block({})), kind
    assert (
        sum("| not measured |" in line for line in targets({})) == len(read_targets("targets")) + 1
    )


def test_costs_are_worked_out_from_the_rate_of_one_core(results: Results) -> None:
    """1e7 / (100 / 2) / 3600 = 55.6; 1000 * 3600 * 25 / (50 / 4) / 3600 = 2000 core-hours."""
    lines = cost(results)
    assert lines[2] == "| images, own processes | 50.0/s | 56 | $3 | 0.9 h |"
    assert lines[3] == "| images, Ray | not measured |  |  |  |"
    assert lines[4] == "| video, a detection on every frame | 12.5/s | 2,000 | $100 | 31.2 h |"


def test_every_result_has_its_origin(results: Results) -> None:
    row = "| `peer` | 2026-01-02 | abc | Some CPU, 4 cores | onnxruntime 1.2.3 |"
    assert row in origins(results)


def test_every_benchmark_of_the_table_is_run_by_make() -> None:
    listed = re.search(r"^BENCHMARKS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed
    assert {row["benchmark"] for row in read_targets("targets")} | {"same_labels"} <= {
        *listed[1].split()
    }
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in listed[1].split())


def test_every_benchmark_of_the_table_of_trust_has_a_command_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    rows = read_targets("trust")
    assert rows
    for row in rows:
        assert re.search(rf"-m (benchmarks|tests\.trials)\.{row['benchmark']}\n", makefile)


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(KeyError, match="weather"):
        fill(PAGE.format(kind="weather"), {})


def test_broken_batches_are_counted_over_their_runs() -> None:
    runs = [
        {"workers": {"kills": 8, "same": True, "times_as_long": 1.04},
         "command": {"kills": 2, "same": True}},
        {"workers": {"kills": 9, "same": True, "times_as_long": 1.11},
         "command": {"kills": 3, "same": False}},
    ]  # fmt: skip
    said = " ".join(faults({"batch_faults": {"figures": {"photos": 2000, "runs": runs}}}))
    assert "2 runs over 2,000 photos, in which 17 workers and 5 commands were killed" in said
    assert "1 of 2 gave exactly the rows" in said
    assert "1.04 to 1.11 times" in said
    assert faults({}) == ["Broken batches: not measured."]

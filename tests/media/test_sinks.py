"""Sinks: rows that other programs read back, a playable video with its sound, partial output."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.errors import StorageError
from facial_expressions.media.frames import Frame
from facial_expressions.media.sinks import Sink, Sinks, open_sink
from facial_expressions.results import Box, FrameResult, Prediction, TrackedFace
from tests.media.videos import even_times, read_back, write_video

Pixels = NDArray[np.uint8]
LABELS = ("happy", "sad")
SIZE = (96, 64)


def pairs(
    times_s: list[float], *, size: tuple[int, int] = SIZE
) -> Iterator[tuple[Frame, FrameResult]]:
    """Frames of one color, two faces on each but the first."""
    for index, time_s in enumerate(times_s):
        image = np.full((size[1], size[0], 3), 120, np.uint8)
        prediction = Prediction(LABELS, (0.75, 0.25))
        faces = tuple(
            TrackedFace(Box(x, 10, x + 20, 34), 0.9, (), prediction, number, index % 2 == 0)
            for number, x in ((1, 8.0), (2, 60.0))
        )
        faces = faces if index else ()
        yield Frame(index, time_s, image), FrameResult(index, time_s, *size, faces)


def write_all(path: Path, times_s: list[float], *, source: str = "clip.mp4") -> None:
    with open_sink(path, source=source, labels=LABELS) as sink:
        for frame, result in pairs(times_s):
            sink.write(frame, result)


def read_parquet(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def write_ten_then_interrupt(paths: Sequence[Path]) -> None:
    with ExitStack() as stack:
        sinks = [stack.enter_context(open_sink(path, source="x", labels=LABELS)) for path in paths]
        for frame, result in pairs(even_times(100)):
            for sink in sinks:
                sink.write(frame, result)
            if frame.frame == 9:
                raise KeyboardInterrupt


def test_json_lines_have_one_line_per_frame(tmp_path: Path) -> None:
    write_all(tmp_path / "rows.jsonl", [0.0, 0.04, 0.1])
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [line["time_s"] for line in lines] == [0.0, 0.04, 0.1]
    assert [[face["track_id"] for face in line["faces"]] for line in lines] == [[], [1, 2], [1, 2]]
    assert lines[1]["source"] == "clip.mp4"
    assert lines[1]["faces"][0]["probabilities"] == {"happy": 0.75, "sad": 0.25}


def test_csv_and_parquet_have_a_row_per_face_and_one_for_no_face(tmp_path: Path) -> None:
    write_all(tmp_path / "rows.csv", [0.0, 0.04])
    write_all(tmp_path / "rows.parquet", [0.0, 0.04])
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = read_parquet(tmp_path / "rows.parquet")
    assert [row["track_id"] for row in rows] == ["", "1", "2"]
    assert [row["track_id"] for row in table] == [None, 1, 2]
    assert [float(row["time_s"]) for row in rows] == [row["time_s"] for row in table]
    assert (rows[2]["left"], rows[2]["expression"], rows[2]["is_detected"]) == (
        "60.0",
        "happy",
        "false",
    )
    assert table[2]["happy"] == pytest.approx(0.75)
    assert list(rows[0]) == list(table[0])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_c07_a_csv_cell_of_a_video_is_never_a_formula(start: str, tmp_path: Path) -> None:
    write_all(tmp_path / "rows.csv", [0.0, 0.04], source=f"{start}1.mp4")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == 3
    assert {len(row) for row in rows} == {len(header)}
    shown = {"\r": "\\u000d"}.get(start, start)
    assert {row[0] for row in rows} == {f"'{shown}1.mp4"}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_c07_a_video_whose_name_is_no_utf_8_is_named_with_escapes(
    name: str, tmp_path: Path
) -> None:
    write_all(tmp_path / name, [0.0], source="caf\udce9.mp4")
    if name == "rows.parquet":
        assert read_parquet(tmp_path / name)[0]["source"] == "caf\\udce9.mp4"
    else:
        assert "caf\\udce9.mp4" in (tmp_path / name).read_text(encoding="utf-8")


def test_video_has_the_frames_times_and_marks(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 1.0]
    write_all(tmp_path / "marked.mp4", times)
    got, images = read_back(tmp_path / "marked.mp4")
    assert got == pytest.approx(times, abs=1e-4)
    assert np.abs(images[0].astype(int) - 120).max() < 12, "no face, nothing drawn"
    assert np.abs(images[1].astype(int) - 120).max() > 60
    with av.open(str(tmp_path / "marked.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_odd_sizes_grow_by_a_pixel(tmp_path: Path) -> None:
    with open_sink(tmp_path / "odd.mp4", source="", labels=LABELS) as sink:
        for frame, result in pairs(even_times(3), size=(97, 65)):
            sink.write(frame, result)
    assert read_back(tmp_path / "odd.mp4")[1][0].shape == (66, 98, 3)


@pytest.mark.parametrize(("codec", "name"), [("aac", "s.mp4"), ("mp2", "s.mkv")])
def test_sound_is_kept(codec: str, name: str, tmp_path: Path) -> None:
    """AAC packet for packet; MP2 as AAC of the same length."""
    plain = [frame.image for frame, _ in pairs(even_times(25))]
    source = write_video(tmp_path / name, plain, even_times(25), sound=codec)
    write_all(tmp_path / "marked.mp4", even_times(25), source=str(source))
    before, after = sound_packets(source), sound_packets(tmp_path / "marked.mp4")
    if codec == "aac":
        assert [data for _, data in after] == [data for _, data in before]
        assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=1e-3)
    else:
        assert after[-1][0] == pytest.approx(before[-1][0], abs=0.1)


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = list(container.demux(audio=0))
        return [(float(p.pts * p.time_base), bytes(p)) for p in packets if p.pts is not None]


def test_interruption_leaves_valid_files_of_what_was_done(tmp_path: Path) -> None:
    names = ("rows.jsonl", "rows.csv", "rows.parquet", "marked.mp4")
    with pytest.raises(KeyboardInterrupt):
        write_ten_then_interrupt([tmp_path / name for name in names])
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 10
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 1 + 2 * 9
    assert len(read_parquet(tmp_path / "rows.parquet")) == 1 + 2 * 9
    assert len(read_back(tmp_path / "marked.mp4")[0]) == 10


def test_files_that_exist_and_unknown_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        open_sink(tmp_path / "rows.csv", source="x", labels=LABELS)
    clip = write_video(tmp_path / "clip.mp4", [np.zeros((64, 96, 3), np.uint8)], [0.0])
    with pytest.raises(FileExistsError, match="the source itself"):
        open_sink(clip, source=str(clip), labels=LABELS, overwrite=True)
    with pytest.raises(ValueError, match=r"rows\.xls: format not supported"):
        open_sink(tmp_path / "rows.xls", source="x", labels=LABELS)


def silent_images(count: int) -> list[Pixels]:
    return [frame.image for frame, _ in pairs(even_times(count))]


@pytest.mark.parametrize(
    ("rate", "kept_rate"), [(11_024, 11_025), (5_000, 8_000), (192_000, 96_000), (48_000, 48_000)]
)
def test_sound_of_a_rate_that_aac_lacks_gets_the_nearest_that_it_has(
    rate: int, kept_rate: int, tmp_path: Path
) -> None:
    """The second after the last image takes the whole tone of 24/25 s."""
    source = write_video(
        tmp_path / "s.mkv", silent_images(25), even_times(25), sound="pcm_s16le", sound_rate=rate
    )
    write_all(tmp_path / "marked.mp4", even_times(25), source=str(source))
    with av.open(str(tmp_path / "marked.mp4")) as container:
        sound = container.streams.audio[0]
        assert sound.codec_context.sample_rate == kept_rate
        n_samples = sum(frame.samples for frame in container.decode(sound))
    assert n_samples / kept_rate == pytest.approx(24 / 25, abs=3 * 1024 / kept_rate)
    assert len(read_back(tmp_path / "marked.mp4")[0]) == 25


@pytest.mark.parametrize(("codec", "name"), [("aac", "s.mkv"), ("pcm_s16le", "s.mkv")])
def test_a_repeated_time_stamp_costs_one_packet_of_sound(
    codec: str, name: str, tmp_path: Path
) -> None:
    source = write_video(tmp_path / name, silent_images(25), even_times(25), sound=codec)
    with av.open(str(source)) as old, av.open(str(tmp_path / "twice.mkv"), "w") as new:
        streams = {one.index: new.add_stream_from_template(one) for one in old.streams}
        stamps: list[int] = []
        for packet in old.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                stamps.append(packet.dts)
                packet.pts = packet.dts = stamps[-2] if len(stamps) == 8 else stamps[-1]
            packet.stream = streams[packet.stream.index]
            new.mux(packet)
    write_all(tmp_path / "marked.mp4", even_times(25), source=str(tmp_path / "twice.mkv"))
    times = [time_s for time_s, _ in sound_packets(tmp_path / "marked.mp4")]
    assert times == sorted(set(times))
    assert len(times) >= 12
    assert times[-1] == pytest.approx(sound_packets(source)[-1][0], abs=0.07)


@pytest.mark.parametrize("rate", [11_024, 48_000])
def test_a_gap_in_the_sound_moves_nothing_that_comes_after_it(rate: int, tmp_path: Path) -> None:
    """A click at 2.5 s, after a second without packets, is heard at 2.5 s."""
    step, clicks = rate // 25, np.zeros((75, rate // 25), np.int16)
    clicks[[12, 62], step // 2 :] = 20_000
    with av.open(str(tmp_path / "gap.mkv"), "w") as new:
        images, sound = new.add_stream("libx264", rate=25), new.add_stream("pcm_s16le", rate=rate)
        sound.layout, images.width, images.height = "mono", 96, 64
        for number in (*range(25), *range(50, 75)):
            piece = av.AudioFrame.from_ndarray(clicks[number][None], "s16", "mono")
            piece.sample_rate, piece.pts = rate, number * step
            new.mux(sound.encode(piece))
        for image in silent_images(75):
            new.mux(images.encode(av.VideoFrame.from_ndarray(image)))
        new.mux([*images.encode(), *sound.encode()])
    write_all(tmp_path / "marked.mp4", even_times(75), source=str(tmp_path / "gap.mkv"))
    heard = []
    with av.open(str(tmp_path / "marked.mp4")) as container:
        for piece in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(piece.to_ndarray()).max(axis=0) > 0.2)
            heard += [(piece.time or 0) + place / piece.sample_rate for place in loud]
    assert [heard[0], heard[-1]] == pytest.approx([0.5, 2.52], abs=0.01)


def test_sound_that_nobody_can_read_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_video(tmp_path / "s.mkv", silent_images(25), even_times(25), sound="pcm_s16le")
    source.write_bytes(source.read_bytes().replace(b"A_PCM/INT/LIT", b"A_ZZZ/INT/LIT"))
    write_all(tmp_path / "marked.mp4", even_times(25), source=str(source))
    assert len(read_back(tmp_path / "marked.mp4")[0]) == 25
    assert "the marked video has no sound" in caplog.text


class FailsAt:
    """A sink that fails at a frame, as on a full disk."""

    def __init__(self, index: int) -> None:
        self.index, self.n_closed = index, 0

    def write(self, frame: Frame, result: FrameResult) -> None:
        del result
        if frame.frame == self.index:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self) -> FailsAt:
        return self

    def __exit__(self, *error: object) -> None:
        self.n_closed += 1
        if self.index < 0:
            raise ValueError("cannot be closed")


@pytest.mark.parametrize("index", [0, 3, -1], ids=["at-first", "in-the-middle", "when-closed"])
def test_a_sink_that_fails_is_closed_and_the_others_get_every_frame(
    index: int, tmp_path: Path
) -> None:
    failing: FailsAt = FailsAt(index)
    rows = open_sink(tmp_path / "rows.jsonl", source="x", labels=LABELS)
    sinks: dict[str, Sink] = {"bad": failing, "rows.jsonl": rows}
    with Sinks(sinks) as both:
        for frame, result in pairs(even_times(10)):
            both.write(frame, result)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 10
    assert failing.n_closed == 1
    assert list(both.errors) == ["bad"]
    assert both.errors["bad"].startswith("bad: ")


def test_a_sink_without_a_frame_leaves_no_file(tmp_path: Path) -> None:
    for name in ("rows.jsonl", "rows.csv", "rows.parquet", "marked.mp4"):
        write_all(tmp_path / name, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet", "marked.mp4"])
def test_planted_links_and_folders_are_refused_and_not_followed(name: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).symlink_to(victim)
    (folder / f"2{name}").mkdir()
    for target, word in ((folder / name, "symbolic link"), (folder / f"2{name}", "a folder")):
        with pytest.raises(StorageError, match=word):
            open_sink(target, source="x", labels=LABELS, overwrite=True)
    assert victim.read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, f"2{name}"])


def test_a_link_planted_where_parquet_keeps_its_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "rows.parquet.parts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        open_sink(tmp_path / "rows.parquet", source="x", labels=LABELS, overwrite=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []

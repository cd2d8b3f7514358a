"""Inputs: every kind of listing, in a fixed order; odd files named, foreign ones left out."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from facial_expressions.distributed.inputs import BatchInput, InputListing
from facial_expressions.errors import BatchError

OUT = Path("out")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def sources(source: Path | str, output: Path = OUT) -> list[str]:
    return [one.source for one in InputListing(str(source), output)]


def test_a_folder_is_walked_in_order_without_hidden_and_foreign_files(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "z/c.webp", "d/e/f.gif", ".hidden.jpg", ".git/g.jpg", "n.txt")
    listing = InputListing(str(tmp_path), OUT)
    found = [one.source.removeprefix(f"{tmp_path}/") for one in listing]
    assert found == ["a.png", "b.JPG", "d/e/f.gif", "z/c.webp"]
    assert listing.n_left_out == 1
    assert [one.source for one in listing] == sources(tmp_path)
    assert listing.n_left_out == 1


def test_an_empty_folder_has_no_inputs(tmp_path: Path) -> None:
    assert sources(tmp_path) == []


def test_deep_folders_are_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(200):
        deep /= "d"
    deep.mkdir(parents=True)
    touch(deep, "a.jpg")
    assert sources(tmp_path) == [str(deep / "a.jpg")]


@pytest.mark.skipif(os.name != "posix", reason="makes links, pipes and sockets")
def test_special_files_do_not_hang_and_links_are_not_followed_into_folders(tmp_path: Path) -> None:
    touch(tmp_path, "real.jpg")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "inside.jpg").symlink_to("real.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("gone.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "s.jpg"))
        found = {Path(one.source).name: one.status for one in InputListing(str(tmp_path), OUT)}
    assert found == {
        "inside.jpg": None, "nowhere.jpg": "rejected", "pipe.jpg": "skipped", "real.jpg": None,
        "s.jpg": "skipped", "self.jpg": "rejected",
    }  # fmt: skip


def test_a_folder_that_cannot_be_read_is_a_failed_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg", "open/c.jpg")
    scan = os.scandir

    def guarded(path: str) -> os._ScandirIterator[str]:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = list(InputListing(str(tmp_path), OUT))
    assert [Path(one.source).name for one in found] == ["a.jpg", "locked", "c.jpg"]
    assert found[1].status == "failed"
    assert found[1].error.startswith("permission: ")


def test_the_output_folder_is_not_looked_into(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "rows/b.jpg", "rows2/c.jpg")
    assert sources(tmp_path, tmp_path / "rows") == [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "rows2" / "c.jpg"),
    ]
    assert sources(f"{tmp_path}/*/*", tmp_path / "rows") == [str(tmp_path / "rows2" / "c.jpg")]


def test_a_glob_finds_images_and_archives(tmp_path: Path) -> None:
    touch(tmp_path, "x/b.jpg", "x/y/a.png", "x/notes.txt")
    listing = InputListing(f"{tmp_path}/**/*", OUT)
    assert [one.source for one in listing] == [
        str(tmp_path / "x/b.jpg"),
        str(tmp_path / "x/y/a.png"),
    ]
    assert listing.n_left_out == 1
    with pytest.raises(BatchError, match=r"\*\.bmp: no file matches this pattern"):
        sources(f"{tmp_path}/*.bmp")


def test_a_name_with_wildcards_that_exists_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "[1].jpg", "1.jpg")
    assert sources(tmp_path / "[1].jpg") == [str(tmp_path / "[1].jpg")]


def test_a_list_starts_at_its_own_folder_and_repeats_are_skipped(tmp_path: Path) -> None:
    paths = tmp_path / "list.txt"
    paths.write_text(f"a.jpg\n\nsub/b.jpg\r\n{tmp_path}/a.jpg\n-c d.jpg\n", newline="")
    found = list(InputListing(str(paths), OUT))
    names = ["a.jpg", "sub/b.jpg", "a.jpg", "-c d.jpg"]
    assert [one.source for one in found] == [str(tmp_path / name) for name in names]
    assert [one.status for one in found] == [None, None, "skipped", None]


def test_csv_and_json_lines_name_their_path(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('label,path\nhappy,"x, y.jpg"\nsad\n')
    (tmp_path / "b.jsonl").write_text('{"source": "a.jpg"}\n"b\\nc.jpg"\n{"id": 3}\nnot JSON\n7\n')
    table = list(InputListing(str(tmp_path / "a.csv"), OUT))
    assert [one.source for one in table] == [str(tmp_path / "x, y.jpg"), f"{tmp_path}/a.csv:3"]
    assert [one.status for one in table] == [None, "rejected"]
    lines = list(InputListing(str(tmp_path / "b.jsonl"), OUT))
    assert [one.status for one in lines] == [None, None, "rejected", "rejected", "rejected"]
    assert lines[1].source == str(tmp_path / "b\nc.jpg")
    assert [one.source for one in lines[2:]] == [f"{tmp_path}/b.jsonl:{n}" for n in (3, 4, 5)]


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, '{"path":' * 100_000, "9" * 5_000, '{"path": 1e999}', "\\ud800", "nul", "{}"],
)
def test_a_line_of_json_that_is_odd_costs_no_other(line: str, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(f'"a.jpg"\n{line}\n"b.jpg"\n')
    found = list(InputListing(str(tmp_path / "b.jsonl"), OUT))
    assert [one.status for one in found] == [None, "rejected", None]
    assert found[1].source == f"{tmp_path}/b.jsonl:2"


@pytest.mark.parametrize("cell", ["x" * 200_000, '"' + "x" * 200_000 + '"'])
def test_a_line_that_is_no_csv_costs_no_other(cell: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"path,note\na.jpg,1\nz.jpg,{cell}\nb.jpg,2\n", newline="")
    found = list(InputListing(str(tmp_path / "a.csv"), OUT))
    assert [one.source for one in found if one.status is None] == [
        str(tmp_path / name) for name in ("a.jpg", "b.jpg")
    ]
    assert [one.status for one in found] == [None, "rejected", None]


def test_a_csv_without_a_column_of_paths_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,image\nhappy,a.jpg\n")
    with pytest.raises(BatchError, match="no column named path"):
        list(InputListing(str(tmp_path / "a.csv"), OUT))


@pytest.mark.skipif(os.name != "posix", reason="names of bytes that are no UTF-8")
def test_odd_names_survive_the_list_of_inputs(tmp_path: Path) -> None:
    names = [b"sp ace.jpg", b"new\nline.jpg", b'quo"te.jpg', b"-hyphen.jpg", b"\xff\xfe.jpg"]
    names += ["\N{GRINNING FACE}.jpg".encode(), b"x" * 251 + b".jpg"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()  # noqa: PTH118 - bytes
    found = [BatchInput.from_line(one.to_line()) for one in InputListing(str(tmp_path), OUT)]
    assert {os.fsencode(Path(one.source).name) for one in found} == {*names}


def test_members_of_archives_are_inputs_with_their_place(tmp_path: Path) -> None:
    archive = tmp_path / "shard-0.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in (
            ("0.jpg", b"first"), ("0.json", b"{}"), ("d/1.PNG", b"second"), ("0.jpg", b"third"),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    listing = InputListing(str(tmp_path), OUT)
    found = list(listing)
    assert [one.source for one in found] == [
        f"{archive}/{n}" for n in ("0.jpg", "d/1.PNG", "0.jpg")
    ]
    assert [one.status for one in found] == [None, None, "skipped"]
    content = archive.read_bytes()
    assert [content[one.offset : one.offset + one.n_bytes] for one in found[:2]] == [
        b"first", b"second",
    ]  # fmt: skip
    assert listing.n_left_out == 1
    assert [one.source for one in InputListing(str(archive), OUT)] == [o.source for o in found]


def test_a_damaged_archive_gives_its_whole_members_and_a_rejected_row(tmp_path: Path) -> None:
    archive = tmp_path / "cut.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("a.jpg", "b.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 2000
            tar.addfile(member, io.BytesIO(b"x" * 2000))
    archive.write_bytes(archive.read_bytes()[: 512 + 2048 + 512 + 100])
    found = list(InputListing(str(archive), OUT))
    assert (found[0].source, found[0].status) == (f"{archive}/a.jpg", None)
    assert (found[-1].source, found[-1].status) == (str(archive), "rejected")
    assert "damaged" in found[-1].error


@pytest.mark.parametrize("name", ["a.tar.gz", "notes.md", "data.zip"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(BatchError, match=r"not supported|Decompress"):
        InputListing(str(tmp_path / name), OUT)


def test_a_missing_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="not found"):
        InputListing(str(tmp_path / "gone"), OUT)


def test_a_list_of_many_is_not_held_in_memory(tmp_path: Path) -> None:
    paths = tmp_path / "many.txt"
    with paths.open("w") as file:
        file.writelines(f"folder/with/a/name/image-{number:06d}.jpg\n" for number in range(40_000))
    listing = iter(InputListing(str(paths), OUT))
    for _ in range(2_000):
        next(listing)
    tracemalloc.start()
    n_rest = sum(1 for _ in listing)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_rest == 38_000
    assert peak < 200_000  # the names alone are 1.7 MB

"""FER+: reading votes, soft labels, the strict majority, and finding each image's votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facial_expressions.data import load_dataset
from facial_expressions.data.ferplus import (
    ferplus_votes,
    labels_from_votes,
    read_ferplus,
    relabelled,
    strict_majority,
    vote_shares,
)
from facial_expressions.errors import DatasetError
from facial_expressions.labels import FER2013, FERPLUS, FERPLUS_COLUMNS, PEOPLE
from tests.builders import (
    make_rows,
    write_competition_csv,
    write_ferplus_csv,
    write_folder,
    write_kaggle_zip,
    write_zip,
)

ROWS = make_rows(train=5, public=2, private=2)
HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
_COLUMNS = {name: k for k, name in enumerate(FERPLUS_COLUMNS)}


def votes(**counts: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    row = np.zeros((1, 10), np.uint8)
    for name, n in counts.items():
        row[0, _COLUMNS[name.replace("_", " ")]] = n
    return row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (votes(happy=10), "happy"),
        (votes(happy=6, sad=4), "happy"),
        (votes(happy=5, sad=5), None),  # half is not more than half
        (votes(happy=4, sad=3, fear=3), None),
        (votes(happy=4, sad=3, fear=1, angry=1, neutral=1), "happy"),  # 4 of 7: singles dropped
        (votes(contempt=7, neutral=3), "contempt"),
        (votes(unknown=8, sad=2), None),
        (votes(not_a_face=10), None),
        (votes(happy=3, unknown=2), "happy"),  # 3 of 5: unknown counts as a vote
        (votes(happy=3, unknown=3), None),
        (votes(happy=1), None),
        (votes(), None),
    ],
)
def test_d07_strict_majority(
    row: np.ndarray[tuple[int, int], np.dtype[np.uint8]], expected: str | None
) -> None:
    label_id = -1 if expected is None else FERPLUS.id_of(expected)
    assert strict_majority(row, FERPLUS).tolist() == [label_id]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (votes(happy=6, sad=4), "happy"),
        (votes(neutral=10), "neutral"),
        (votes(surprise=9), "surprise"),
        (votes(contempt=7, neutral=3), None),  # a majority, for none of the seven
        (votes(contempt=5, sad=5), None),
        (votes(contempt=4, sad=5), "sad"),
        (votes(unknown=8, sad=2), None),
        (votes(), None),
    ],
)
def test_strict_majority_among_the_seven(
    row: np.ndarray[tuple[int, int], np.dtype[np.uint8]], expected: str | None
) -> None:
    label_id = -1 if expected is None else PEOPLE.id_of(expected)
    assert strict_majority(row, PEOPLE).tolist() == [label_id]


def test_shares_of_the_seven_leave_out_contempt_and_what_is_no_expression() -> None:
    shares = vote_shares(votes(happy=3, fear=1, contempt=2, unknown=3, not_a_face=1), PEOPLE)
    assert shares.dtype == np.float32
    named = dict(zip(PEOPLE, shares[0].tolist(), strict=True))
    assert named.pop("happy") == 0.75
    assert named.pop("fear") == 0.25
    assert set(named.values()) == {0}
    assert vote_shares(votes(contempt=5, unknown=5), PEOPLE).sum() == 0


def test_shares_are_votes_over_their_sum() -> None:
    row = vote_shares(votes(happy=3, contempt=1, unknown=4, not_a_face=2), FERPLUS)[0]
    assert dict(zip(FERPLUS, row.tolist(), strict=True)) == {
        "angry": 0,
        "contempt": 0.25,
        "disgust": 0,
        "fear": 0,
        "happy": 0.75,
        "neutral": 0,
        "sad": 0,
        "surprise": 0,
    }
    assert vote_shares(votes(unknown=10), FERPLUS).sum() == 0


def test_votes_say_what_labels_images_with_such_votes_have() -> None:
    """Two images are all happy and labelled 0, two all sad and labelled 1, one half and half.

    The half one is labelled 0. Least squares by hand: happy is worth 1.1 of label 0 and -0.1 of
    label 1, sad 0.1 and 0.9.
    """
    happy, sad = vote_shares(votes(happy=9), FERPLUS), vote_shares(votes(sad=5), FERPLUS)
    both = vote_shares(votes(happy=2, sad=2), FERPLUS)
    nobody = vote_shares(votes(unknown=9), FERPLUS)
    shares = np.concatenate([happy, happy, sad, sad, both, nobody])
    targets = np.eye(2, dtype=np.float32)[[0, 0, 1, 1, 0, 1]]
    said = labels_from_votes(shares, targets)
    assert said.dtype == np.float32
    expected = np.array([[1, 0], [1, 0], [0.1, 0.9], [0.1, 0.9], [0.6, 0.4], [0, 1]])
    np.testing.assert_allclose(said, expected, atol=1e-6)
    np.testing.assert_array_equal(targets[4], [1, 0])  # what is given stays as it is


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "ferplus.csv"
    header = (
        "NF,fear,anger,Usage,Image name,sadness,neutral,happiness,surprise,disgust,contempt,unknown"
    )
    path.write_text(f"\ufeff{header}\r\n1,2,0,Training,a.png,0,7,0,0,0,0,0\r\n", encoding="utf-8")
    found, usages = read_ferplus(path)
    assert np.array_equal(found, votes(neutral=7, fear=2, not_a_face=1))
    assert usages.tolist() == ["Training"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "and has none"),
        ("Usage,neutral\nTraining,1\n", "needs the columns usage, neutral, happiness"),
        (f"{HEADER}\nTraining,a.png,1,2\n", r"row 0 \(line 2\) needs 12 columns, not 4"),
        (
            f"{HEADER}\nTraining,a.png,1,2,0,0,0,0,0,0,0,x\n",
            "needs votes that are whole numbers of 0 to 100, not",
        ),
        (
            f"{HEADER}\nTraining,a.png,-1,2,0,0,0,0,0,0,0,0\n",
            "needs votes that are whole numbers of 0 to 100, not",
        ),
        (
            f"{HEADER}\nTraining,a.png,999,2,0,0,0,0,0,0,0,0\n",
            "needs votes that are whole numbers of 0 to 100, not",
        ),
        (b"\xff\xfe\x00\x00\x89PNG", r"not the FER\+ file"),
    ],
)
def test_bad_file_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "ferplus.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DatasetError, match=message):
        read_ferplus(path)


def test_votes_in_an_archive_are_found(tmp_path: Path) -> None:
    text = f"{HEADER}\nTraining,a.png,1,2,0,0,0,0,0,0,0,0\n"
    path = write_zip(tmp_path / "votes.zip", {"FERPlus/fer2013new.csv": text.encode()})
    found, _ = read_ferplus(path)
    assert np.array_equal(found, votes(neutral=1, happy=2))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="file not found"):
        read_ferplus(tmp_path / "none.csv")


@pytest.mark.parametrize("protocol", ["competition", "kaggle"])
def test_votes_follow_the_competition_rows(tmp_path: Path, protocol: str) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    dataset = load_dataset(path, protocol=protocol, allow_partial=True)
    found = ferplus_votes(dataset, write_ferplus_csv(tmp_path / "ferplus.csv", ROWS))
    _assert_majority_is_own_label(dataset.test.labels, found["test"])
    assert [len(found[s.name]) for s in dataset.splits()] == [len(s) for s in dataset.splits()]


@pytest.mark.parametrize("protocol", ["competition", "kaggle"])
def test_votes_follow_the_kaggle_images_by_pixels(tmp_path: Path, protocol: str) -> None:
    path = write_kaggle_zip(tmp_path / "fer.zip", ROWS)
    dataset = load_dataset(path, protocol=protocol, allow_partial=True)
    order = np.random.default_rng(0).permutation(len(ROWS))
    order = order[np.argsort([ROWS[i].usage == "Training" for i in order], kind="stable")]
    shuffled = [ROWS[i] for i in order]
    found = ferplus_votes(
        dataset,
        write_ferplus_csv(tmp_path / "ferplus.csv", shuffled),
        competition=write_competition_csv(tmp_path / "fer.csv", shuffled),
    )
    places = {int(i): k for k, i in enumerate(order)}
    expected, _ = read_ferplus(tmp_path / "ferplus.csv")
    for split in dataset.splits():
        rows = [places[int(s.rpartition("_")[2][:-4])] for s in split.sources]
        assert np.array_equal(found[split.name], expected[rows])


def _assert_majority_is_own_label(
    labels: np.ndarray[tuple[int], np.dtype[np.int64]],
    found: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
) -> None:
    majority = strict_majority(found, FERPLUS)
    names = [FER2013.names[i] for i in labels[majority >= 0]]
    assert [FERPLUS.names[i] for i in majority[majority >= 0]] == names
    assert 0 < (majority < 0).sum() < len(labels)


def test_relabelled_data_set_keeps_the_rows_with_a_majority(tmp_path: Path) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    dataset = load_dataset(path, allow_partial=True)
    found = ferplus_votes(dataset, write_ferplus_csv(tmp_path / "ferplus.csv", ROWS))
    eight = relabelled(dataset, found, FERPLUS)
    assert (eight.name, eight.labels) == ("ferplus", FERPLUS)
    kept = [k for k in range(len(ROWS)) if k % 10 != 9]
    names = [FERPLUS.names[i] for split in eight.splits() for i in split.labels]
    assert names == [ROWS[k].label for k in kept]


def test_people_keep_the_ids_of_the_seven(tmp_path: Path) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    dataset = load_dataset(path, allow_partial=True)
    found = ferplus_votes(dataset, write_ferplus_csv(tmp_path / "ferplus.csv", ROWS))
    people, eight = relabelled(dataset, found, PEOPLE), relabelled(dataset, found, FERPLUS)
    assert (people.name, people.labels) == ("people", PEOPLE)
    names = [PEOPLE.names[i] for split in people.splits() for i in split.labels]
    assert names == [FERPLUS.names[i] for split in eight.splits() for i in split.labels]


@pytest.mark.parametrize("n", [60, 64])
def test_d08_other_length_is_refused(tmp_path: Path, n: int) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    dataset = load_dataset(path, allow_partial=True)
    ferplus = write_ferplus_csv(tmp_path / "ferplus.csv", (ROWS + ROWS)[:n])
    with pytest.raises(DatasetError, match=f"{n} rows instead of 63"):
        ferplus_votes(dataset, ferplus)


def test_other_order_is_refused(tmp_path: Path) -> None:
    path = write_competition_csv(tmp_path / "fer.csv", ROWS)
    dataset = load_dataset(path, allow_partial=True)
    ferplus = write_ferplus_csv(tmp_path / "ferplus.csv", ROWS[::-1])
    with pytest.raises(DatasetError, match=r"row 0 says 'PrivateTest', there it is 'Training'"):
        ferplus_votes(dataset, ferplus)


def test_kaggle_layout_alone_is_refused(tmp_path: Path) -> None:
    dataset = load_dataset(write_kaggle_zip(tmp_path / "fer.zip", ROWS), allow_partial=True)
    ferplus = write_ferplus_csv(tmp_path / "ferplus.csv", ROWS)
    with pytest.raises(DatasetError, match="Give the competition file"):
        ferplus_votes(dataset, ferplus)


def test_other_data_is_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "faces", {"sad/row 1.gif": b"x"})
    ferplus = write_ferplus_csv(tmp_path / "ferplus.csv", ROWS)
    with pytest.raises(DatasetError, match=r"data set 'faces': FER\+ votes"):
        ferplus_votes(load_dataset(path), ferplus)

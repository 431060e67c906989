"""The corpus folder: what is written is read, from any place, and a document's split is its own."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.corpus import Position, corpus_files, read_documents, write_corpus
from runtime.faults import Fault

DOCUMENTS = [f"document {number} " + "x" * (number % 7) for number in range(700)]


def texts(folder: Path, split: str, start: Position | None = None) -> list[str]:
    return [text for _, text in read_documents(folder, split, start=start)]


def test_what_is_written_is_read_in_order(tmp_path: Path):
    write_corpus(tmp_path, DOCUMENTS, validation=0.1)
    train, validation = texts(tmp_path, "train"), texts(tmp_path, "validation")
    assert train == [document for document in DOCUMENTS if document in set(train)]
    assert sorted(train + validation) == sorted(DOCUMENTS)
    assert 30 < len(validation) < 120


def test_the_summary_counts_both_splits(tmp_path: Path):
    summary = write_corpus(tmp_path, ["é" * 3, *DOCUMENTS], validation=0.1)
    train = texts(tmp_path, "train")
    assert summary.train.documents == len(train)
    assert summary.train.text_bytes == sum(len(text.encode()) for text in train)
    assert summary.validation.documents == len(DOCUMENTS) + 1 - len(train)
    assert (summary.train.files, summary.validation.files) == (1, 1)


def test_the_split_of_a_document_does_not_depend_on_the_others(tmp_path: Path):
    write_corpus(tmp_path / "a", DOCUMENTS, validation=0.1)
    shuffled = random.Random(0).sample(DOCUMENTS[:400], 400)
    write_corpus(tmp_path / "b", shuffled, validation=0.1)
    assert set(texts(tmp_path / "b", "validation")) == set(texts(tmp_path / "a", "validation")) & set(
        shuffled
    )


def test_files_hold_row_groups_of_256_zstd_and_no_more_than_a_shard(tmp_path: Path):
    summary = write_corpus(tmp_path, DOCUMENTS, validation=0.01, shard_bytes=6000)
    files = corpus_files(tmp_path, "train")
    assert len(files) == summary.train.files > 1
    groups = [pq.ParquetFile(path).metadata.row_group(0) for path in files]
    assert groups[0].num_rows == 256
    assert groups[0].column(0).compression == "ZSTD"
    assert all(group.num_rows <= 256 for group in groups)


@pytest.mark.parametrize("shard_bytes", [3000, 1 << 20])
def test_reading_starts_at_any_position(tmp_path: Path, shard_bytes: int):
    write_corpus(tmp_path, DOCUMENTS, validation=0.05, shard_bytes=shard_bytes)
    whole = list(read_documents(tmp_path, "train"))
    for place in [0, 1, 255, 256, 257, 511, len(whole) - 1]:
        position = whole[place][0]
        assert list(read_documents(tmp_path, "train", start=position)) == whole[place:]
        assert list(read_documents(tmp_path, "train", start=position.after)) == whole[place + 1 :]


@pytest.mark.parametrize("start", [Position(9, 0), Position(0, 10_000)])
def test_a_position_outside_the_corpus_is_a_fault(tmp_path: Path, start: Position):
    write_corpus(tmp_path, DOCUMENTS, validation=0.1)
    with pytest.raises(Fault, match="the corpus ends in"):
        texts(tmp_path, "train", start)


def test_equal_documents_give_equal_bytes(tmp_path: Path):
    for name in "ab":
        write_corpus(tmp_path / name, DOCUMENTS, validation=0.1)
    for path in corpus_files(tmp_path / "a", "train"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_lone_surrogates_are_replaced(tmp_path: Path):
    write_corpus(tmp_path, [*DOCUMENTS, "lone \ud800"], validation=0.1)
    assert "lone \ufffd" in texts(tmp_path, "train") + texts(tmp_path, "validation")


def test_an_empty_split_is_a_fault_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(Fault, match="of 1 documents, none falls to the validation split"):
        write_corpus(tmp_path, ["alone"], validation=1e-9)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_leaves_the_earlier_corpus(tmp_path: Path):
    def failing():
        yield from DOCUMENTS[:500]
        raise Fault("row 501 is not text")

    write_corpus(tmp_path, DOCUMENTS, validation=0.1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Fault, match="row 501"):
        write_corpus(tmp_path, failing(), validation=0.1, shard_bytes=2000)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_smaller_corpus_replaces_a_larger_one(tmp_path: Path):
    write_corpus(tmp_path, DOCUMENTS, validation=0.1, shard_bytes=2000)
    write_corpus(tmp_path, DOCUMENTS[:100], validation=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "train_00000.parquet",
        "validation_00000.parquet",
    ]
    assert len(texts(tmp_path, "train") + texts(tmp_path, "validation")) == 100


def test_a_folder_without_a_corpus_is_a_fault(tmp_path: Path):
    with pytest.raises(Fault, match="has no `train_00000"):
        read_documents(tmp_path, "train")


def test_a_missing_file_is_a_fault(tmp_path: Path):
    write_corpus(tmp_path, DOCUMENTS, validation=0.1, shard_bytes=2000)
    (tmp_path / "train_00001.parquet").unlink()
    with pytest.raises(Fault, match=r"`train_00001\.parquet` is missing"):
        read_documents(tmp_path, "train")


def test_a_file_of_something_else_is_a_fault(tmp_path: Path):
    (tmp_path / "train_00000.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(Fault, match="is not a whole parquet file"):
        texts(tmp_path, "train")
    pq.write_table(pa.table({"other": ["a"]}), tmp_path / "train_00000.parquet")
    with pytest.raises(Fault, match="no column `text` of text"):
        texts(tmp_path, "train")

"""Batches: what a row is, what an epoch is, and that a restored loader goes on bit for bit."""

import random
import re
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from runtime.corpus import read_documents, write_corpus
from runtime.faults import Fault
from runtime.loader import Batch, Loader, validation_batches
from runtime.tokenizer import SPECIAL, Tokenizer

TOKENIZER = Tokenizer(tuple(bytes([value]) for value in range(256)))  # a token a byte
BOS = TOKENIZER.bos


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    documents = [f"{number}:" + "x" * rng.randint(0, 60) for number in range(600)]
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, documents, validation=0.3, shard_bytes=5000)
    return folder


def write_split(folder: Path, split: str, documents: list[str]) -> None:
    pq.write_table(pa.table({"text": documents}), folder / f"{split}_00000.parquet")


def loader_of(folder: Path, rows: int = 3, length: int = 32, buffer: int = 40) -> Loader:
    return Loader(folder, TOKENIZER, rows=rows, length=length, buffer=buffer, threads=1)


def assert_equal(batches: list[Batch], others: list[Batch]) -> None:
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert torch.equal(batch[0], other[0])
        assert torch.equal(batch[1], other[1])


def test_every_row_starts_with_bos_and_targets_follow_inputs(folder: Path):
    for inputs, targets in islice(loader_of(folder), 50):
        assert inputs.shape == targets.shape == (3, 32)
        assert inputs.dtype == targets.dtype == torch.int64
        assert (inputs[:, 0] == BOS).all()
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert ((targets >= 0) & (targets < TOKENIZER.vocab)).all()


def test_training_goes_through_the_corpus_again_and_again(folder: Path):
    loader = loader_of(folder, rows=8)
    for _ in loader:
        if loader.epoch == 2:
            break
    assert loader.epoch == 2


def test_documents_come_once_an_epoch(folder: Path):
    train = {text for _, text in read_documents(folder, "train")}
    loader = loader_of(folder, rows=1, length=200, buffer=200)
    seen: list[str] = []
    for inputs, _ in loader:
        if loader.epoch > 0:  # this row may hold documents of the next epoch already
            break
        seen += TOKENIZER.decode(inputs[0].tolist()).split("<|bos|>")[1:-1]  # the last one may be cut
    assert set(seen) <= train
    assert len(seen) == len(set(seen)) > 0.3 * len(train)


def test_a_document_longer_than_a_row_loses_its_rest_or_is_cut(tmp_path: Path):
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    write_split(tmp_path, "train", [alphabet, "1", "2"])

    def letters(cut_long: bool) -> set[int]:
        loader = Loader(tmp_path, TOKENIZER, rows=1, length=8, cut_long=cut_long, buffer=1, threads=1)
        batches = list(islice(loader, 40))
        assert all(inputs[0, 0] == BOS for inputs, _ in batches)
        return {token for _, targets in batches for token in targets[0].tolist()} & set(alphabet.encode())

    assert letters(cut_long=True) == set(alphabet.encode())
    assert letters(cut_long=False) <= set(alphabet[:8].encode())


@pytest.mark.parametrize("done", [0, 1, 7, 60, 61, 149])
def test_a_restored_loader_gives_the_batches_that_would_have_come(folder: Path, done: int):
    straight = loader_of(folder)
    list(islice(straight, done))
    state = straight.state()
    resumed = loader_of(folder)
    list(islice(resumed, 5))  # of which nothing may be left
    resumed.restore(state)
    assert resumed.epoch == straight.epoch
    assert_equal(list(islice(resumed, 150)), list(islice(straight, 150)))
    assert resumed.epoch == straight.epoch >= 1


def test_the_state_is_not_touched_by_going_on(folder: Path):
    loader = loader_of(folder)
    list(islice(loader, 5))
    state = loader.state()
    expected = list(islice(loader, 5))
    loader.restore(state)
    assert_equal(list(islice(loader, 5)), expected)


def test_a_state_serves_another_number_of_rows(folder: Path):
    loader = loader_of(folder, rows=4)
    list(islice(loader, 5))
    halves = loader_of(folder, rows=2)
    halves.restore(loader.state())
    joined = [torch.cat(pair) for pair in zip(next(halves), next(halves), strict=True)]
    assert_equal([(joined[0], joined[1])], [next(loader)])


def test_validation_is_the_same_each_time_and_ends(folder: Path):
    def batches(limit: int | None = None) -> list[Batch]:
        return list(
            validation_batches(folder, TOKENIZER, rows=3, length=32, batches=limit, buffer=40, threads=1)
        )

    whole = batches()
    assert len(whole) > 5
    assert_equal(batches(), whole)
    assert_equal(batches(4), whole[:4])
    assert_equal(batches(10_000), whole)
    assert batches(0) == []


def test_the_last_rows_of_validation_are_padded_with_bos_that_do_not_count(tmp_path: Path):
    write_split(tmp_path, "validation", ["abcd", "efgh"])
    ((inputs, targets),) = validation_batches(tmp_path, TOKENIZER, rows=3, length=12, threads=1)
    assert inputs.tolist() == [[BOS, *b"abcd", BOS, *b"efgh", BOS, BOS], [BOS] * 12, [BOS] * 12]
    assert targets.tolist() == [[*b"abcd", BOS, *b"efgh", -1, -1, -1], [-1] * 12, [-1] * 12]


def test_validation_counts_every_token_that_fits(folder: Path):
    batches = validation_batches(folder, TOKENIZER, rows=2, length=100, threads=1)
    counted = sum(int((targets >= 0).sum()) for _, targets in batches)
    held = sum(len(text) + 1 for _, text in read_documents(folder, "validation"))
    assert 0.8 * held < counted < held


def test_a_corpus_without_text_is_a_fault_and_not_a_hang(tmp_path: Path):
    for split in ("train", "validation"):
        write_split(tmp_path, split, [""] * 300)
    loader = loader_of(tmp_path)
    with pytest.raises(Fault, match=r"the train split of .* holds no text"):
        next(loader)
    with pytest.raises(Fault, match=r"the validation split of .* holds no text"):
        next(validation_batches(tmp_path, TOKENIZER, rows=1, length=8, threads=1))


def test_a_missing_split_is_a_fault_at_once(tmp_path: Path):
    with pytest.raises(Fault, match="has no `train_00000"):
        loader_of(tmp_path)


def test_a_cursor_of_another_corpus_is_a_fault(folder: Path, tmp_path: Path):
    write_split(tmp_path, "train", ["short"])
    loader = loader_of(folder)
    list(islice(loader, 30))
    other = loader_of(tmp_path)
    other.restore(loader.state())
    with pytest.raises(Fault, match="the corpus ends in"):
        list(islice(other, 100))


def test_the_tokenizer_of_these_tests_is_bytes():
    assert TOKENIZER.encode("ab") == [97, 98]
    assert TOKENIZER.vocab == 256 + len(SPECIAL)


def test_rows_know_whose_documents_they_are_made_of_also_after_a_resume(folder: Path):
    texts = {(at.file, at.row): text for at, text in read_documents(folder, "train")}
    loader = loader_of(folder)
    for step in range(60):
        if step == 20:
            state, loader = loader.state(), loader_of(folder)
            loader.restore(state)
        inputs, targets = next(loader)
        sources = loader.sources()
        assert len(sources) == 3
        for row, held in enumerate(sources):
            ids = [*inputs[row].tolist(), int(targets[row, -1])]
            whole = b"".join(bytes([BOS % 256]) + texts[source].encode() for source in held)
            said = bytes(BOS % 256 if id == BOS else id for id in ids)
            assert whole.startswith(said)
    assert loader.names([(0, 3), (0, 1), (0, 3), (1, 1000)]) == [
        "`train_00000.parquet` rows 1, 3", "`train_00001.parquet` row 1,000",
    ]  # fmt: skip
    assert loader.names([(-1, -1)]) == ["documents that an older save held"]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_thread_that_dies_is_one_fault_that_names_the_file(folder: Path, monkeypatch, threads: int):
    """Documents are encoded by threads, and there is no process beside this one."""
    loader = Loader(folder, TOKENIZER, rows=1, length=32, threads=threads)

    class Dies(type(TOKENIZER._encoding)):
        def encode_ordinary(self, text: str) -> list[int]:
            if text.startswith("40:"):
                raise RuntimeError("the worker was killed\nand this is its trace")
            return super().encode_ordinary(text)

    monkeypatch.setattr(TOKENIZER._encoding, "__class__", Dies)
    with pytest.raises(Fault) as caught:
        next(loader)
    assert re.fullmatch(
        r"the text of `train_00000\.parquet` row \d+ cannot be encoded: the worker was killed",
        caught.value.message,
    )


def test_a_document_that_is_null_is_named(tmp_path: Path):
    pq.write_table(pa.table({"text": ["a", None, "b"]}), tmp_path / "train_00000.parquet")
    with pytest.raises(Fault, match=r"document 1 of `.*train_00000\.parquet` holds no text"):
        next(loader_of(tmp_path))


def test_a_parquet_that_is_cut_off_is_one_fault_that_names_it(folder: Path, tmp_path: Path):
    for path in folder.glob("train_*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    victim = tmp_path / "train_00001.parquet"
    whole = victim.read_bytes()
    for size in (0, 4, len(whole) // 2, len(whole) - 1):
        victim.write_bytes(whole[:size])
        with pytest.raises(Fault, match=r"train_00001\.parquet` is not a whole parquet file"):
            list(islice(loader_of(tmp_path, rows=64), 20))


def test_a_parquet_with_a_damaged_page_is_one_fault_that_names_it(folder: Path, tmp_path: Path):
    path = tmp_path / "train_00000.parquet"
    whole = bytearray((folder / path.name).read_bytes())
    whole[4:400] = bytes(396)  # the footer, which says where all stands, is whole
    path.write_bytes(bytes(whole))
    with pytest.raises(Fault, match=r"train_00000\.parquet` is damaged"):
        next(loader_of(tmp_path))

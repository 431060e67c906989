"""A model says what it learnt from, and what was before it, wherever it is taken."""

import json
import shutil
from pathlib import Path

import pytest

from runtime.manifest import content, digest, read_manifest
from stages.models.artefact import read_artefact
from stages.models.origin import ORIGIN
from stages.runfile.load import load_run
from stages.running.runner import execute

TUNED = """
[stage.sft]
uses = "sft"
needs = ["base"]
with = { tasks = [{ task = "conversations", path = "talk.jsonl" }, { task = "simple_spelling", rows = 40 }], steps = 1, length = 32, rows = 2, batch_tokens = 64, dtype = "float32", compile = "no" }
"""
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


@pytest.fixture
def run(trained_run: Path, tmp_path: Path, told) -> Path:
    """The folder of a run whose model was tuned."""
    shutil.copytree(trained_run / "runs", tmp_path / "runs")
    (tmp_path / "small.toml").write_text((trained_run / "small.toml").read_text() + TUNED)
    (tmp_path / "talk.jsonl").write_text(f"{json.dumps(TALK)}\n" * 5)
    return execute(load_run(tmp_path / "small.toml"), tmp_path / "runs", told[0])


def origin(folder: Path) -> dict:
    return json.loads((folder / ORIGIN).read_text())


def test_a_pretrained_model_names_the_files_of_its_corpus(run: Path):
    (corpus,) = origin(run / "base")["data"]
    assert (corpus["stage"], corpus["source"]) == ("corpus", "text")
    assert set(corpus["files"]) == {"train_00000.parquet", "validation_00000.parquet"}
    documents = json.loads((run / "corpus" / "result.json").read_text())
    for split in ("train", "validation"):
        path = run / "corpus" / f"{split}_00000.parquet"
        wanted = {"bytes": path.stat().st_size, "sha256": digest(path), "rows": documents[split]["documents"]}
        assert corpus["files"][path.name] == wanted


def test_a_tuned_model_names_its_tasks_and_all_that_was_before(run: Path):
    found = origin(run / "sft")
    talk, spelling = found["data"]
    assert (talk["task"], talk["rows"], talk["epochs"]) == ("conversations", 5, 1)
    path = run.parents[1] / "talk.jsonl"
    assert talk["files"] == {"talk.jsonl": {"bytes": path.stat().st_size, "sha256": digest(path)}}
    assert (spelling["rows"], list(spelling["files"])) == (40, ["common_words.txt"])
    parents = {one["stage"]: one for one in found["parents"]}
    assert list(parents) == ["base", "corpus", "tokenizer"]
    for name, one in parents.items():
        manifest = read_manifest(run / name)
        assert manifest
        assert one["identity"] == manifest["identity"]
        assert one["content"] == content(run / name)
        assert (one["run"], one["uses"]) == ("small", manifest["uses"])
    assert parents["base"]["needs"] == ["corpus", "tokenizer"]
    assert parents["base"]["data"] == origin(run / "base")["data"]


def test_a_model_that_was_taken_elsewhere_still_says_so(run: Path, tmp_path: Path):
    there = shutil.copytree(run / "sft", tmp_path / "elsewhere")
    wanted = origin(run / "sft")
    shutil.rmtree(run)
    assert origin(there) == wanted
    assert read_artefact(there).manifest["files"][ORIGIN]


def test_linked_shards_keep_the_names_that_they_have(tmp_path: Path):
    from runtime.corpus import link_corpus, write_corpus
    from runtime.manifest import write_manifest
    from stages.models.origin import corpus_data

    write_corpus(tmp_path / "there", [f"text {n}" for n in range(100)], validation=0.5)
    train, validation = sorted((tmp_path / "there").iterdir())
    link_corpus(tmp_path / "corpus", [train.rename(train.with_name("shard_00007.parquet"))], validation)
    write_manifest(tmp_path / "corpus", {"facts": {"settings": {"source": "named"}}})
    (found,) = corpus_data(tmp_path / "corpus", "corpus")
    assert found["source"] == "named"
    assert found["files"]["train_00000.parquet"]["is"] == "shard_00007.parquet"

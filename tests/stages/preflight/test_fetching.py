"""What the stages of a run need, and what is said of what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanogen.shelf import find, shipped
from runtime.faults import Fault
from stages.data.needs import Bundle, Corpus, NamedFile, PublishedEncoding, Rows
from stages.preflight import fetching
from stages.preflight.fetching import check_offline, fetch_asked, wanted_of
from stages.runfile.load import load_run
from tests.stages.folders import fill


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))


def needs(name: str) -> list:
    return wanted_of(load_run(find(name, "run"), looking=False)).needs


def test_the_needs_of_a_published_run_are_all_that_its_stages_read():
    assert set(needs("speedrun_nanochat_2025")) == {
        Corpus("fineweb_edu_100b", 240),
        PublishedEncoding("gpt2"),
        PublishedEncoding("cl100k_base"),
        Bundle("eval_bundle"),
        Rows("smoltalk", "default", "train"),
        Rows("smoltalk", "default", "test"),
        Rows("mmlu", "all", "auxiliary_train"),
        Rows("mmlu", "all", "test"),
        Rows("gsm8k", "main", "train"),
        Rows("gsm8k", "main", "test"),
        Rows("arc", "ARC-Easy", "train"),
        Rows("arc", "ARC-Easy", "test"),
        Rows("arc", "ARC-Challenge", "train"),
        Rows("arc", "ARC-Challenge", "test"),
        Rows("humaneval", "openai_humaneval", "test"),
    }


@pytest.mark.parametrize("name", shipped("run"))
def test_the_needs_of_every_run_are_known(name: str):
    wanted = wanted_of(load_run(find(name, "run"), looking=False))
    assert wanted.needs
    assert wanted.faults == ()
    assert len(set(wanted.needs)) == len(wanted.needs)


def run_of(tmp_path: Path, tasks: str):
    path = tmp_path / "my.toml"
    path.write_text(
        'kind = "run"\nmodel = "saint_iberis_tiny"\n[stage.eval]\nuses = "evaluate_chat"\n'
        f'needs = ["base"]\nwith = {{ tasks = [{tasks}] }}\n'
        '[stage.base]\nuses = "pretrain"\nneeds = ["corpus", "tokenizer"]\n'
        '[stage.corpus]\nuses = "dataset"\nwith = { source = "python_docs" }\n'
        '[stage.tokenizer]\nuses = "tokenizer"\nneeds = ["corpus"]\n'
    )
    return load_run(path, looking=False)


def test_a_list_of_words_is_needed_and_what_has_a_path_is_the_users(tmp_path: Path):
    tasks = '{ task = "spelling_bee", words = "words_alpha" }, { task = "gsm8k", path = "mine" }'
    assert wanted_of(run_of(tmp_path, tasks)).needs == [NamedFile("words_alpha", "words_alpha.txt")]


def test_a_task_that_there_is_not_is_told_with_its_stage(tmp_path: Path):
    [fault] = wanted_of(run_of(tmp_path, '{ task = "gsm8k", split = "tests" }')).faults
    assert fault.message.startswith("stage `eval`: ")


def test_offline_what_is_missing_stops_the_run_and_what_is_here_does_not(tmp_path: Path, told):
    run, (tell, _) = run_of(tmp_path, '{ task = "gsm8k", split = "test" }'), told
    with pytest.raises(
        Fault, match=r"1 file is not here: `task_data/openai--gsm8k/main/test-.*looked in"
    ) as caught:
        check_offline(run, "my.toml", tell)
    assert caught.value.help == "where there is a network: nanogen fetch my.toml"
    fill(tmp_path / "data")
    check_offline(run, "my.toml", tell)


def test_before_a_run_only_what_it_lets_be_fetched_is(tmp_path: Path, told, monkeypatch: pytest.MonkeyPatch):
    asked: list = []

    def fetch(needs, top, tell, *, patience):
        asked.append(list(needs))
        if PublishedEncoding("gpt2") in needs:
            raise Fault("no network")

    monkeypatch.setattr(fetching, "fetch", fetch)
    tell, out = told
    fetch_asked(
        run_of(tmp_path, '{ task = "gsm8k", download = true }, { task = "mmlu", split = "test" }'), tell
    )
    assert asked == [[Rows("gsm8k", "main", "train")]]
    asked.clear()
    fetch_asked(load_run(find("speedrun_nanochat_2025", "run"), looking=False), tell)
    required, optional = asked
    assert Corpus("fineweb_edu_100b", 240) in required
    assert Bundle("eval_bundle") not in required
    assert optional == [PublishedEncoding("gpt2"), PublishedEncoding("cl100k_base")]
    assert "left out: no network" in out.getvalue()

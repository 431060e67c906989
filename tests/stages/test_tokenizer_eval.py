"""The evaluation of a tokenizer: its figures, its neighbours, its place in the report, and that it fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from pathlib import Path

import pytest
import tiktoken.load
from tiktoken_ext import openai_public

from nanogen.text.diagnostics import Refusal
from runtime.tokenizer import LONGEST_BLANK, Tokenizer
from stages import tokenizer_eval
from stages.runfile.load import Run
from stages.running.runner import execute
from stages.running.survey import survey
from tests.conftest import RUN

URL = "https://nowhere.invalid/encodings/bytes.tiktoken"
RANKS = [*(bytes([value]) for value in range(256)), b"th", b"the", b" the"]
LINES = b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(RANKS))
HASH = hashlib.sha256(LINES).hexdigest()
KINDS = ["news", "code", "mathematics", "science", "japanese", "korean", "chat", "numbers"]
WITH = 'with = { characters = "20K" }'


def bytes_encoding() -> dict:
    """What tiktoken has for each of its encodings: a function that reads its files."""
    return {
        "name": "bytes",
        "pat_str": r"\s?\S+|\s+",
        "mergeable_ranks": tiktoken.load.load_tiktoken_bpe(URL, expected_hash=HASH),
        "special_tokens": {"<|endoftext|>": len(RANKS)},
    }


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tiktoken's cache with nothing in it, and a small encoding that tiktoken knows of."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    monkeypatch.setitem(openai_public.ENCODING_CONSTRUCTORS, "bytes", bytes_encoding)
    return folder


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was tried to reach the network; nothing gets there."""
    tried = []

    def refuse(name: str):
        def refused(*_, **__):
            tried.append(name)
            raise OSError("this test has no network")

        return refused

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse(name))
    return tried


@pytest.fixture
def small_run(tmp_path: Path, texts: Path):
    """A run of a corpus, a tokenizer and its evaluation, with settings of the latter."""
    from stages.runfile.load import load_run

    def write(settings: str = WITH) -> Run:
        head = RUN.format(path=texts).split("[stage.base]")[0]
        stage = f'[stage.tokens]\nuses = "tokenizer_eval"\nneeds = ["corpus", "tokenizer"]\n{settings}\n'
        report = '[stage.report]\nuses = "report"\nneeds = ["corpus", "tokenizer", "tokens"]\n'
        path = tmp_path / "small.toml"
        path.write_text(head + stage + report)
        return load_run(path)

    return write


def put(cache: Path, content: bytes) -> Path:
    path = cache / hashlib.sha1(URL.encode()).hexdigest()
    path.write_bytes(content)
    return path


def result(folder: Path) -> dict:
    return json.loads((folder / "tokens" / "result.json").read_text())


def state(run: Run, tmp_path: Path) -> str:
    return {f.stage.name: f.state for f in survey(run, tmp_path / "runs" / run.name)}["tokens"]


def test_figures_are_those_of_the_text_and_the_tokenizer(small_run, cache, told, tmp_path):
    folder = execute(small_run(), tmp_path / "runs", told[0])
    found = result(folder)
    assert [text["text"] for text in found["texts"]] == ["train", "validation", *KINDS]
    tokenizer = Tokenizer.load(folder / "tokenizer" / "tokenizer.json")
    assert (found["vocab"], found["digest"]) == (tokenizer.vocab, tokenizer.digest)
    by_name = {text.name: text.documents[0] for text in tokenizer_eval.samples()}
    ours = {figures["text"]: figures for figures in found["encodings"][0]["texts"]}
    for facts in found["texts"][2:]:
        text, figures = by_name[facts["text"]], ours[facts["text"]]
        ids = tokenizer.encode(text)
        assert (facts["bytes"], facts["characters"]) == (len(text.encode()), len(text))
        assert figures["tokens"] == len(ids)
        assert figures["bytes_per_token"] == len(text.encode()) / len(ids)
        assert figures["characters_per_token"] == len(text) / len(ids)
        assert figures["ids_share"] == len(set(ids)) / 300
        assert figures["single_byte_share"] == sum(i < 256 for i in ids) / len(ids)
    assert ours["japanese"]["words_per_token"] is None
    assert ours["numbers"]["words_per_token"] is None
    words = found["texts"][2]["words"]
    assert ours["news"]["words_per_token"] == words / ours["news"]["tokens"]


def test_a_split_is_measured_up_to_its_characters(small_run, cache, told, tmp_path):
    found = result(execute(small_run("with = { characters = 1234 }"), tmp_path / "runs", told[0]))
    assert [text["characters"] for text in found["texts"][:2]] == [1234, 1234]


def test_only_the_time_it_took_differs_from_run_to_run(small_run, cache, told, tmp_path):
    def plain(place: str) -> dict:
        found = result(execute(small_run(), tmp_path / place, told[0]))
        for encoding in found["encodings"]:
            for name in ("seconds", "bytes_per_second"):
                encoding.pop(name, None)
        return found

    assert plain("one") == plain("other")


def test_the_tokenizer_is_left_as_it_is(small_run, cache, told, tmp_path):
    run = small_run()
    folder = execute(run, tmp_path / "runs", told[0])
    manifest = json.loads((folder / "tokenizer" / "manifest.json").read_text())
    raw = (folder / "tokenizer" / "tokenizer.json").read_bytes()
    assert manifest["files"]["tokenizer.json"]["sha256"] == hashlib.sha256(raw).hexdigest()
    left = sorted(path.name for path in (folder / "tokens").iterdir())
    assert left == ["clock.json", "manifest.json", "result.json"]


def test_nothing_is_fetched_and_what_is_absent_is_not_run(small_run, cache, attempts, told, tmp_path):
    folder = execute(small_run(), tmp_path / "runs", told[0])
    assert attempts == []
    assert list(cache.iterdir()) == []
    others = result(folder)["encodings"][1:]
    assert [other["encoding"] for other in others] == ["gpt2", "cl100k_base"]
    assert others[0]["not_run"] == "`vocab.bpe` is not in tiktoken's cache; `nanogen fetch RUN` gets it"
    for text in (told[1].getvalue(), (folder / "report.md").read_text()):
        assert "not run: `cl100k_base.tiktoken` is not in tiktoken's cache" in text


def test_a_cache_that_is_turned_off_is_not_asked(small_run, cache, attempts, told, tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    folder = execute(small_run(), tmp_path / "runs", told[0])
    assert attempts == []
    assert all("not_run" in other for other in result(folder)["encodings"][1:])


def test_the_network_is_asked_where_that_is_allowed(small_run, cache, attempts, told, tmp_path, monkeypatch):
    """And the test above would see it; what cannot be reached does not end the stage."""
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path / "data"))
    run = small_run('with = { against = ["gpt2"], download = true }')
    (other,) = result(execute(run, tmp_path / "runs", told[0]))["encodings"][1:]
    assert attempts != []
    assert other["not_run"].startswith("its files could not be fetched: ")


def test_an_encoding_of_the_cache_stands_beside_ours(small_run, cache, attempts, told, tmp_path):
    put(cache, LINES)
    run = small_run('with = { against = ["bytes", "gpt2"] }')
    folder = execute(run, tmp_path / "runs", told[0])
    assert attempts == []
    found = result(folder)
    ours, other, absent = found["encodings"]
    assert other["vocab"] == len(RANKS) + 1
    text = next(t.documents[0] for t in tokenizer_eval.samples() if t.name == "news")
    plain = tiktoken.Encoding(**{**bytes_encoding(), "name": "plain"})
    assert other["texts"][2]["tokens"] == len(plain.encode_ordinary(text))
    assert "not_run" in absent
    ratio = ours["texts"][2]["bytes_per_token"] / other["texts"][2]["bytes_per_token"]
    row = f"{other['texts'][2]['bytes_per_token']:.2f} {f'{ratio - 1:+.1%}':>7}"
    for page in ("report.md", "report.html"):
        shown = (folder / page).read_text()
        assert row in next(line for line in shown.split("\n") if line.startswith("news "))
        assert "how much more text a token of ours holds" in shown
    assert row in told[1].getvalue()


def test_a_file_with_another_hash_is_refused_and_left_where_it_is(small_run, cache, attempts, told, tmp_path):
    path = put(cache, LINES[:-8])
    (other,) = result(execute(small_run('with = { against = ["bytes"] }'), tmp_path / "runs", told[0]))[
        "encodings"
    ][1:]
    found = hashlib.sha256(LINES[:-8]).hexdigest()
    assert other["not_run"] == (
        f"`bytes.tiktoken` in tiktoken's cache is {found[:12]}, and tiktoken knows {HASH[:12]}"
    )
    assert path.read_bytes() == LINES[:-8]
    assert attempts == []


def test_an_encoding_that_came_into_reach_is_measured_the_next_time(small_run, cache, told, tmp_path):
    run = small_run('with = { against = ["bytes"] }')
    execute(run, tmp_path / "runs", told[0])
    assert state(run, tmp_path) == "done"
    put(cache, LINES)
    assert state(run, tmp_path) == "stale"
    execute(run, tmp_path / "runs", told[0])
    assert state(run, tmp_path) == "done"
    assert state(small_run('with = { against = ["bytes"], download = true }'), tmp_path) == "done"


def test_own_files_are_measured_wherever_they_lie(small_run, cache, told, tmp_path):
    text = "ein Süßwasserfisch\r\n" + " " * (2 * LONGEST_BLANK) + "\n"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "fisch.txt").write_bytes(text.encode())
    put(cache, LINES)
    settings = 'with = { files = ["own/fisch.txt"], against = ["bytes"] }'
    found = result(execute(small_run(settings), tmp_path / "runs", told[0]))
    size = len(text.encode())
    assert found["texts"][-1] == {"text": "fisch.txt", "bytes": size, "characters": len(text), "words": 2}
    assert found["encodings"][0]["texts"][-1]["text"] == "fisch.txt"
    (tmp_path / "own").rename(tmp_path / "moved")
    assert state(small_run(settings.replace("own/", "moved/")), tmp_path) == "done"
    (tmp_path / "moved" / "fisch.txt").write_text("ein anderer")
    assert state(small_run(settings.replace("own/", "moved/")), tmp_path) == "stale"


MISTAKES = {
    "an absent file": ('files = ["none.txt"]', "there is no file", "counts from the run file"),
    "a folder": ('files = ["texts"]', "there is no file", "counts from the run file"),
    "not UTF-8": ('files = ["latin.txt"]', "is not UTF-8: byte 3 fits no character", ""),
    "nothing in it": ('files = ["empty.txt"]', "is empty", ""),
    "a name twice": ('files = ["latin.txt", "texts/../latin.txt"]', "names `latin.txt` 2 times", "each once"),
    "an unknown encoding": ('against = ["gpt3"]', "`against` names `gpt3`", "did you mean `gpt2`?"),
    "an encoding twice": ('against = ["gpt2", "gpt2"]', "names `gpt2` 2 times", "each once"),
    "no text": ("characters = 0", "", ""),
    "no list": ('files = "none.txt"', "expected a list", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_with_its_place(small_run, tmp_path, mistake):
    (tmp_path / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    (tmp_path / "empty.txt").write_bytes(b"")
    settings, message, help = MISTAKES[mistake]
    with pytest.raises(Refusal) as refusal:
        small_run(f"with = {{ {settings} }}")
    (fault,) = refusal.value.diagnostics
    assert fault.code == "NG704"
    assert message in fault.message
    assert help in (fault.help or "")
    assert fault.place.path == ("stage", "tokens", "with", settings.split()[0])


def test_the_report_tells_of_the_tokenizer_once(small_run, cache, told, tmp_path):
    page = (execute(small_run(), tmp_path / "runs", told[0]) / "report.md").read_text()
    assert page.count("## Tokenizer") == 1
    assert page.count("sha256") == 1
    assert "MB a second on one thread" in page


def test_texts_that_ship_are_of_a_size_and_each_of_its_kind():
    texts = {text.name: text.documents[0] for text in tokenizer_eval.samples()}
    assert list(texts) == KINDS
    assert all(300 < len(text) < 1700 for text in texts.values())
    compile(texts["code"], "code", "exec")

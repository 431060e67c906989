"""Published encodings out of tiktoken's cache: both forms of their files, their hashes, and tiktoken left as it was."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
import tiktoken.load
from tiktoken_ext import openai_public

from runtime.faults import Fault
from stages.evaluating import encodings

PLACE = "https://nowhere.invalid/"
PRINTABLE = [value for value in range(256) if chr(value).isprintable() and chr(value) != " "]
REST = [value for value in range(256) if value not in PRINTABLE]
ORDER = [*PRINTABLE, *REST]  # of the single bytes in files of GPT-2's form
SPELT = {value: chr(value) for value in PRINTABLE} | {value: chr(256 + n) for n, value in enumerate(REST)}
IDS = {SPELT[value]: n for n, value in enumerate(ORDER)} | {"th": 256, f"{SPELT[32]}th": 257}
FILES = {
    "vocab.bpe": f"#version: 0.2\nt h\n{SPELT[32]} th\n".encode(),
    "encoder.json": json.dumps(IDS).encode(),
    "bytes.tiktoken": b"".join(base64.b64encode(bytes([v])) + b" %d\n" % v for v in range(256)),
}


def digest(name: str) -> str:
    return hashlib.sha256(FILES[name]).hexdigest()


def made(name: str, ranks: dict[bytes, int]) -> dict:
    return {"name": name, "pat_str": r" ?\S+|\s", "mergeable_ranks": ranks, "special_tokens": {}}


def pairs() -> dict:
    files = ("vocab.bpe", "encoder.json")
    places, hashes = [PLACE + name for name in files], [digest(name) for name in files]
    return made("pairs", tiktoken.load.data_gym_to_mergeable_bpe_ranks(*places, *hashes))


def plain() -> dict:
    where, known = f"{PLACE}bytes.tiktoken", digest("bytes.tiktoken")
    return made("plain", tiktoken.load.load_tiktoken_bpe(where, known))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tiktoken's cache with the files of two small encodings that tiktoken knows of."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(openai_public, "ENCODING_CONSTRUCTORS", {"pairs": pairs, "plain": plain})
    for name, content in FILES.items():
        at(tmp_path, name).write_bytes(content)
    return tmp_path


def at(cache: Path, name: str) -> Path:
    return cache / hashlib.sha1((PLACE + name).encode()).hexdigest()


def test_files_of_both_forms_are_read(cache):
    assert encodings.known() == ["pairs", "plain"]
    assert encodings.out_of_reach(["pairs", "plain"]) == []
    assert encodings.load("pairs", download=False).encode_ordinary("th th") == [256, 257]
    assert encodings.load("plain", download=False).encode_ordinary("th") == list(b"th")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_absent_or_altered_is_named(cache, name):
    encoding = "plain" if name == "bytes.tiktoken" else "pairs"
    at(cache, name).write_bytes(FILES[name] + b"\n")
    with pytest.raises(Fault, match=rf"`{name}` in tiktoken's cache is \w+, and tiktoken knows"):
        encodings.load(encoding, download=False)
    assert at(cache, name).exists()
    at(cache, name).unlink()
    with pytest.raises(Fault, match=f"`{name}` is not in tiktoken's cache"):
        encodings.load(encoding, download=False)
    assert encodings.out_of_reach(["pairs", "plain"]) == [encoding]


def test_the_readers_of_tiktoken_are_its_own_again(cache):
    readers = tiktoken.load.read_file, tiktoken.load.read_file_cached
    at(cache, "bytes.tiktoken").unlink()
    assert encodings.out_of_reach(["pairs", "plain"]) == ["plain"]
    assert (tiktoken.load.read_file, tiktoken.load.read_file_cached) == readers


def test_the_cache_lies_where_tiktoken_looks(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")  # turned off, and the other is not asked
    assert encodings.out_of_reach(["plain"]) == ["plain"]
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert encodings.out_of_reach(["plain"]) == []
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert encodings.out_of_reach(["plain"]) == ["plain"]
    cache.rename(tmp_path.with_name("moved"))
    (tmp_path / "temporary").mkdir(parents=True)
    tmp_path.with_name("moved").rename(tmp_path / "temporary" / "data-gym-cache")
    assert encodings.out_of_reach(["plain"]) == []


def test_what_tiktoken_ships_is_known():
    assert {"gpt2", "cl100k_base"} <= set(encodings.known())


def test_the_addresses_of_its_files_are_what_tiktoken_reads(cache):
    assert encodings.files("pairs") == [(PLACE + n, digest(n)) for n in ("vocab.bpe", "encoder.json")]
    assert encodings.files("plain") == [(f"{PLACE}bytes.tiktoken", digest("bytes.tiktoken"))]
    assert encodings.load("plain", download=False).encode_ordinary("th") == list(b"th")


def test_what_was_fetched_comes_before_the_cache(cache, tmp_path, monkeypatch):
    url = f"{PLACE}bytes.tiktoken"
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path / "data"))
    assert encodings.find(url, digest("bytes.tiktoken")) == at(cache, "bytes.tiktoken")
    there = tmp_path / "data/tiktoken" / encodings.key(url)
    there.parent.mkdir(parents=True)
    at(cache, "bytes.tiktoken").rename(there)
    assert encodings.find(url, digest("bytes.tiktoken")) == there
    assert encodings.load("plain", download=False).encode_ordinary("th") == list(b"th")


def test_every_encoding_of_tiktoken_tells_its_files():
    for name in encodings.known():
        assert all(url.startswith("https://") and known for url, known in encodings.files(name)), name
        assert encodings.files(name), name

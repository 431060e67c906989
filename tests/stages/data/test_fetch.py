"""Fetching from servers that fail: every hash right in the end, or every file that did not come by its name."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from nanogen.data import DataSet
from runtime.faults import Fault
from stages.data import fetch as fetching
from stages.data import place as places
from stages.data.fetch import fetch, verify
from stages.data.needs import Bundle, Corpus, NamedFile, Rows
from stages.data.offline import VARIABLE
from stages.data.place import DataPlace, find_file, find_rows
from stages.data.plan import HERE, Planner
from stages.data.shards import find_shards
from stages.data.web import Patience
from stages.progress import Reporter
from tests.stages.data.server import Site, serving
from tests.stages.folders import GSM8K, numbered, parquet

ROOT = Path(__file__).parents[3]
SHARDS = "karpathy/fineweb-edu-100b-shuffle"
QUICK = Patience(first=0.0, sleep=lambda seconds: None)
BUNDLE, WORDS = "/bundle/eval_bundle.zip", "/words/words_alpha.txt"
NEEDS = [
    Corpus("fineweb_edu_100b", 3),
    Rows("gsm8k", "main", "train"),
    Rows("gsm8k", "main", "test"),
    Rows("smoltalk", "default", "test"),
    NamedFile("words_alpha", "words_alpha.txt"),
    Bundle("eval_bundle"),
]


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path / "data"))
    for name in ("HF_TOKEN", "HF_HUB_CACHE", VARIABLE):
        monkeypatch.delenv(name, raising=False)


def packed(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


BUNDLED = {
    "eval_bundle/core.yaml": "icl_tasks: []\n" * 40,
    "eval_bundle/eval_meta_data.csv": "Eval Task,Random baseline\n",
    "eval_bundle/eval_data/world/a.jsonl": '{"context": "a"}\n' * 500,
    "__MACOSX/eval_bundle/._core.yaml": "x",
}


def rows_bytes(folder: Path, rows: list[dict], name: str) -> bytes:
    parquet(folder / name, rows, manifest=False)
    return (folder / name / "00000.parquet").read_bytes()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Files in the layouts of the real repositories; the addresses of data files lead to it."""
    made = tmp_path / "made"
    rng = random.Random(5)

    def shard(n: int) -> bytes:
        noise = [{"text": f"shard {n} {rng.getrandbits(9000):x}"} for _ in range(9)]
        return rows_bytes(made, noise, f"shard{n}")

    split = {n: rows_bytes(made, numbered(GSM8K, 5 + n), f"gsm{n}") for n in range(3)}
    talk = rows_bytes(made, [{"messages": [{"role": "user", "content": "Hi"}]}], "talk")
    found = Site(
        repositories={
            SHARDS: {f"shard_{n:05d}.parquet": shard(n) for n in (0, 1, 2, 3, 1822)} | {"README.md": b"x"},
            "openai/gsm8k": {
                "main/train-00000-of-00002.parquet": split[0],
                "main/train-00001-of-00002.parquet": split[1],
                "main/test-00000-of-00001.parquet": split[2],
                "socratic/test-00000-of-00001.parquet": split[0],
            },
            "HuggingFaceTB/smol-smoltalk": {"data/test-00000-of-00001.parquet": talk},
        },
        files={BUNDLE: packed(BUNDLED), WORDS: b"\n".join(b"word%d" % n for n in range(3000))},
    )
    with serving(found):
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        urls = {"eval_bundle": found.url + BUNDLE, "words_alpha": found.url + WORDS}
        real = places.data_set

        def moved(name: str) -> DataSet:
            data = real(name)
            return attrs.evolve(data, url=urls[name]) if name in urls else data

        for module in ("place", "plan", "shards"):
            monkeypatch.setattr(f"stages.data.{module}.data_set", moved)
        yield found


def quiet() -> Reporter:
    return Reporter(Console(file=io.StringIO(), width=200))


def got(top: Path) -> dict[str, bytes]:
    return {
        p.relative_to(top).as_posix(): p.read_bytes()
        for p in sorted(top.rglob("*"))
        if p.is_file() and p.relative_to(top).parts[0] != "fetched"
    }


def meant(site: Site) -> dict[str, bytes]:
    """What all needs come to, by its place."""
    shards = {
        f"base_data/{n}": c
        for n, c in site.repositories[SHARDS].items()
        if n not in ("README.md", "shard_00003.parquet")
    }
    tasks = {
        f"task_data/openai--gsm8k/{n}": c
        for n, c in site.repositories["openai/gsm8k"].items()
        if n.startswith("main")
    }
    talk = site.repositories["HuggingFaceTB/smol-smoltalk"]
    bundled = {n: t.encode() for n, t in BUNDLED.items() if not n.startswith("__")}
    talks = {f"task_data/HuggingFaceTB--smol-smoltalk/{n}": c for n, c in talk.items()}
    return {**shards, **tasks, **talks, "words_alpha.txt": site.files[WORDS], **bundled}


def test_all_that_is_asked_for_comes_and_is_found_by_those_who_read_it(site: Site, tmp_path: Path):
    top = tmp_path / "data"
    items = fetch(NEEDS, top, quiet(), patience=QUICK)
    assert len(items) == 10
    assert got(top) == meant(site)
    place = DataPlace(top)
    assert [p.name for p in find_shards("fineweb_edu_100b", 3, place).train][-1] == "shard_00002.parquet"
    assert find_shards("fineweb_edu_100b", 3, place).pinned
    assert len(find_rows("gsm8k", subset="main", split="train", place=place)) == 11
    assert len(find_rows("smoltalk", subset="default", split="test", place=place)) == 1
    assert find_file("words_alpha", "words_alpha.txt", place).read_bytes() == site.files[WORDS]
    record = json.loads((top / "fetched/gsm8k.json").read_text())
    name = "task_data/openai--gsm8k/main/test-00000-of-00001.parquet"
    content = site.repositories["openai/gsm8k"]["main/test-00000-of-00001.parquet"]
    assert record["files"][name] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert len(record["revision"]) == 40


def test_what_is_here_is_not_asked_for_again(site: Site, tmp_path: Path):
    fetch(NEEDS, tmp_path / "data", quiet(), patience=QUICK)
    site.asked.clear()
    items = fetch(NEEDS, tmp_path / "data", quiet(), patience=QUICK)
    assert all(item.state == HERE for item in items)
    assert site.asked == []


@pytest.mark.parametrize("seed", range(12))
def test_a_server_that_fails_a_third_of_the_time_gives_every_file_in_the_end(
    site: Site, tmp_path: Path, seed: int
):
    site.bad, site.rng = 0.3, random.Random(seed)
    fetch(NEEDS, tmp_path / "data", quiet(), patience=attrs.evolve(QUICK, tries=12))
    assert got(tmp_path / "data") == meant(site)
    assert verify(tmp_path / "data") == (12, [])


@pytest.mark.parametrize("way", ["corrupt", "truncate", "down"])
def test_a_file_that_never_comes_right_is_named_and_the_others_come(site: Site, tmp_path: Path, way: str):
    site.always = {"shard_00001.parquet": way, "words_alpha.txt": "down"}
    with pytest.raises(Fault, match="2 of 10 files did not come") as caught:
        fetch(NEEDS, tmp_path / "data", quiet(), patience=QUICK)
    assert "`base_data/shard_00001.parquet`" in caught.value.message
    assert "`words_alpha.txt`" in caught.value.message
    there = got(tmp_path / "data")
    lost = ("base_data/shard_00001.parquet", "words_alpha.txt")
    assert {n: c for n, c in there.items() if ".partial" not in n} == {
        n: c for n, c in meant(site).items() if n not in lost
    }
    site.always = {}
    fetch(NEEDS, tmp_path / "data", quiet(), patience=QUICK)
    assert got(tmp_path / "data") == meant(site)


def test_a_part_is_gone_on_with(site: Site, tmp_path: Path):
    name, top = "shard_00000.parquet", tmp_path / "data"
    content = site.repositories[SHARDS][name]
    (top / "base_data").mkdir(parents=True)
    (top / f"base_data/{name}.partial").write_bytes(content[:1000])
    fetch([Corpus("fineweb_edu_100b", 1)], top, quiet(), patience=QUICK)
    assert (top / "base_data" / name).read_bytes() == content
    [(_, _, headers)] = site.gets(name)
    assert headers["Range"] == "bytes=1000-"


def test_a_part_of_something_else_is_thrown_away(site: Site, tmp_path: Path):
    top = tmp_path / "data"
    (top / "base_data").mkdir(parents=True)
    (top / "base_data/shard_00000.parquet.partial").write_bytes(b"other" * 100)
    (top / "words_alpha.txt.partial").write_bytes(b"older")
    (top / "words_alpha.txt.partial.etag").write_text('"another"')
    fetch(
        [Corpus("fineweb_edu_100b", 1), NamedFile("words_alpha", "words_alpha.txt")],
        top,
        quiet(),
        patience=QUICK,
    )
    assert (top / "base_data/shard_00000.parquet").read_bytes() == site.repositories[SHARDS][
        "shard_00000.parquet"
    ]
    assert (top / "words_alpha.txt").read_bytes() == site.files[WORDS]
    assert sorted(p.name for p in top.iterdir()) == ["base_data", "fetched", "words_alpha.txt"]


def test_a_fetched_file_that_was_cut_comes_again_and_another_one_of_the_name_is_left_alone(
    site: Site, tmp_path: Path
):
    top, need = tmp_path / "data", [Corpus("fineweb_edu_100b", 1)]
    fetch(need, top, quiet(), patience=QUICK)
    path = top / "base_data/shard_00000.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    fetch(need, top, quiet(), patience=QUICK)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-1] + b"x")
    assert verify(top) == (2, ["base_data/shard_00000.parquet: its content has changed since it came"])
    shutil.rmtree(top)
    own = rows_bytes(tmp_path / "own", [{"text": "mine"}], "x")
    path.parent.mkdir(parents=True)
    path.write_bytes(own)
    with pytest.raises(Fault, match="another file has its name"):
        fetch(need, top, quiet(), patience=QUICK)
    assert path.read_bytes() == own


def test_a_token_is_for_the_hub_alone(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch([Rows("gsm8k", "main", "test"), Bundle("eval_bundle")], tmp_path / "data", quiet(), patience=QUICK)
    assert all(h.get("Authorization") == "Bearer hf_secret" for _, path, h in site.asked if "gsm8k" in path)


def test_too_small_a_disk_is_told_before_anything_comes(site: Site, tmp_path: Path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage._replace(free=9000))
    with pytest.raises(Fault, match=r"of disk are needed below .* and 8.79 KiB are free"):
        fetch(NEEDS, tmp_path / "data", quiet(), patience=QUICK)
    assert site.gets("resolve") == []
    assert got(tmp_path / "data") == {}


def test_without_any_network_all_is_named_and_nothing_waits_for_ever(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Fault, match=r"3 of 3 files did not come: .*shard_00000.*refused") as caught:
        fetch(
            [Corpus("fineweb_edu_100b", 1), Rows("gsm8k", "main", "test")],
            tmp_path / "data",
            quiet(),
            patience=QUICK,
        )
    assert "task_data/openai--gsm8k/main/test-*.parquet" in caught.value.message


def test_offline_nothing_is_asked(site: Site, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.raises(Fault, match=r"9 of 9 files did not come.*offline"):
        fetch(NEEDS, tmp_path / "data", quiet(), patience=QUICK)
    assert site.asked == []


def test_sizes_are_told_before_anything_comes(site: Site, tmp_path: Path):
    items = Planner(tmp_path / "data", QUICK).plan(NEEDS)
    sizes = {item.file: item.size for item in items}
    assert sizes["base_data/shard_01822.parquet"] == len(site.repositories[SHARDS]["shard_01822.parquet"])
    assert sizes["words_alpha.txt"] == len(site.files[WORDS])
    assert sizes["eval_bundle"] == len(site.files[BUNDLE])
    assert site.gets("resolve") == []
    told = "\n".join(fetching.table(items))
    assert "base_data/shard_01822.parquet" in told
    assert site.url in told


def test_files_of_unknown_size_move_the_bar_no_faster_than_others(site: Site, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("stages.data.plan._asked", lambda wanted: wanted)
    site.slow, out = 0.02, io.StringIO()
    fetch(
        [NamedFile("words_alpha", "words_alpha.txt")],
        tmp_path / "data",
        Reporter(Console(file=out, width=200)),
    )
    lines = [line for line in out.getvalue().split("\n") if "fetching" in line]
    assert len(lines) == 2, "its begin and its end"
    assert "1/1  1 of 1 files" in lines[1]


def test_a_run_that_may_fetch_gets_its_rows_by_the_same_way(site: Site, tmp_path: Path):
    place = DataPlace(tmp_path / "data", download=True)
    assert len(find_rows("gsm8k", subset="main", split="test", place=place)) == 7
    assert find_shards("fineweb_edu_100b", 2, place).validation.name == "shard_01822.parquet"
    assert find_file("words_alpha", "words_alpha.txt", place).is_file()
    assert verify(tmp_path / "data") == (5, [])


CHILD = """
import json, sys
from pathlib import Path
from rich.console import Console
from stages.data.fetch import fetch
from stages.data.needs import Corpus
from stages.data.web import Patience
from stages.progress import Reporter
fetch([Corpus("fineweb_edu_100b", 3)], Path(sys.argv[1]), Reporter(Console(quiet=True)), patience=Patience(first=0.0))
"""


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGINT])
def test_a_fetch_that_is_killed_at_any_moment_goes_on(site: Site, tmp_path: Path, signalled: int):
    site.slow = 0.002
    rng, top = random.Random(3), tmp_path / "data"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": site.url}
    command = [sys.executable, "-c", CHILD, str(top)]
    for _ in range(3):
        started = len(site.asked)
        child = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while len(site.asked) < started + rng.randint(1, 7) and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.003)
        time.sleep(rng.random() * 0.03)
        child.send_signal(signalled)
        child.wait(60)
        assert child.stderr is not None
        child.stderr.close()
    whole = {n: c for n, c in got(top).items() if n.endswith(".parquet")}
    wanted = {f"base_data/{n}": c for n, c in site.repositories[SHARDS].items()}
    assert all(wanted[name] == content for name, content in whole.items()), "a name means a whole file"
    site.slow = 0.0
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=60)
    assert {n: c for n, c in got(top).items() if n.startswith("base_data")} == {
        n: c for n, c in meant(site).items() if n.startswith("base_data")
    }

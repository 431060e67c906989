"""`nanogen fetch` as people call it: what it lists and gets, and that the run then needs nothing else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import attrs
import pytest

from stages.data import place as places
from stages.data.stand_in import folder_of, write_stand_ins
from stages.data.web import Patience
from tests.stages.data.server import Site, serving
from tests.stages.data.test_offline import OFFLINE_RUN, ROOT, RUN, TRAP

CORPUS, TASKS = "karpathy/fineweb-edu-100b-shuffle", "openai/gsm8k"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The made-up data as the Hub and a store would serve it, and a folder with a run that reads it."""
    made = write_stand_ins(tmp_path / "made")
    corpus, rows = folder_of(made, "fineweb_edu_100b"), folder_of(made, "gsm8k")
    bundle, out = folder_of(made, "eval_bundle"), io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
            archive.write(path, f"eval_bundle/{path.relative_to(bundle)}")
    shards = {p.name: p.read_bytes() for p in corpus.glob("*.parquet")}
    shards["shard_00001.parquet"] = (folder_of(made, "climbmix_400b") / "shard_00000.parquet").read_bytes()
    train = (rows / "main/train/00000.parquet").read_bytes()
    found = Site(
        {CORPUS: shards, TASKS: {"main/train-00000-of-00001.parquet": train}}, {"/b.zip": out.getvalue()}
    )
    (tmp_path / "my.toml").write_text(RUN.replace("{ download = true }", "{ against = [] }"))
    monkeypatch.chdir(tmp_path)
    with serving(found):
        for name, value in {"HF_ENDPOINT": found.url, "NANOGEN_DATA": "data", "HF_HOME": "hub"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("NANOGEN_OFFLINE", raising=False)
        real = places.data_set

        def moved(name: str):
            return attrs.evolve(real(name), url=f"{found.url}/b.zip") if name == "eval_bundle" else real(name)

        for module in ("place", "plan", "shards"):
            monkeypatch.setattr(f"stages.data.{module}.data_set", moved)
        monkeypatch.setattr("stages.data.fetch.Patience", lambda: Patience(first=0.0))
        yield found


def test_what_was_fetched_is_all_that_the_run_needs(site: Site, call, tmp_path: Path):
    code, out, _ = call("fetch", "my.toml")
    assert code == 0
    assert "all 5 files that it needs are here, in data" in out
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap/sitecustomize.py").write_text(
        TRAP + "import sys\nsys.modules['datasets'] = sys.modules['huggingface_hub'] = None\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path / 'trap'}{os.pathsep}{ROOT}",
        "TRAPPED": str(tmp_path / "trapped"),
    }
    command = [sys.executable, "-c", OFFLINE_RUN, str(tmp_path / "my.toml"), "runs"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (
        "2 shards of fineweb_edu_100b; validating on shard_01822.parquet, which is kept for it" in done.stdout
    )
    assert "CORE" in (tmp_path / "runs/my/report.md").read_text()
    assert not (tmp_path / "trapped").exists()


def test_a_dry_run_lists_and_gets_nothing(site: Site, call, tmp_path: Path):
    code, out, _ = call("fetch", "my.toml", "--dry-run")
    assert code == 0
    for wanted in (
        "base_data/shard_01822.parquet",
        "task_data/openai--gsm8k/main/train-00000-of-00001.parquet",
        "eval_bundle",
        "0 of 5 files are here; to fetch: ",
        "of disk are asked for below data",
    ):
        assert wanted in out
    assert site.gets("resolve") == []
    assert not (tmp_path / "data/base_data").exists()


def test_offline_says_what_is_missing_and_where_it_was_looked_for(
    site: Site, call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("NANOGEN_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")  # put back at the end
    code, out, err = call("fetch", "my.toml", "--offline")
    assert code == 1
    assert "missing; offline, so it is not asked for" in out
    assert "5 files are not here: `base_data/shard_00000.parquet`" in err
    assert "looked in `data`" in err
    assert "nanogen fetch my.toml" in err
    assert site.asked == []
    monkeypatch.setenv("NANOGEN_OFFLINE", "0")
    call("fetch", "my.toml")
    assert call("fetch", "my.toml", "--offline")[0] == 0


def test_what_does_not_come_is_named_with_exit_code_1(site: Site, call):
    site.always = {"shard_01822.parquet": "corrupt"}
    code, out, err = call("fetch", "my.toml")
    assert code == 1
    assert "base_data/shard_01822.parquet: its content is wrong" in out
    assert "1 of 5 files did not come: `base_data/shard_01822.parquet`" in err
    site.always = {}
    assert call("fetch", "my.toml")[0] == 0


def test_what_has_changed_since_comes_again(site: Site, call, tmp_path: Path):
    call("fetch", "my.toml")
    path = tmp_path / "data/base_data/shard_00000.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    code, out, _ = call("fetch", "my.toml", "--verify")
    assert code == 0
    assert "base_data/shard_00000.parquet: its content has changed since it came" in out
    assert path.read_bytes() == whole


def test_the_run_file_is_checked_first(site: Site, call, tmp_path: Path):
    path = tmp_path / "my.toml"
    path.write_text(path.read_text().replace("shards = 2", "shard = 2"))
    code, _, err = call("fetch", "my.toml")
    assert code == 1
    assert "did you mean `shards`?" in err
    assert site.asked == []

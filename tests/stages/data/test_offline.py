"""Offline: no process of a run opens a socket, which is proven with a trap that is proven to catch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stages.data import offline
from stages.data.offline import VARIABLE, is_offline

ROOT = Path(__file__).parents[3]
Done = subprocess.CompletedProcess[str]
TRAP = """
import os, socket

class Trapped(socket.socket):
    def __init__(self, *args, **kw):
        note("socket")

def note(what):
    with open(os.environ["TRAPPED"], "a") as file:
        file.write(what + "\\n")
    raise OSError("trapped: " + what)

socket.socket = Trapped
socket.getaddrinfo = lambda *args, **kw: note("getaddrinfo " + str(args[0]))
"""
OFFLINE_RUN = """
import sys
from pathlib import Path
from stages.data.offline import go_offline
go_offline()
from stages.data.stand_in import write_stand_ins
from stages.preflight.fetching import check_offline
from stages.runfile.load import load_run
from stages.progress import Reporter
from stages.running.runner import execute
top, rehearse = Path(sys.argv[2]), sys.argv[3:] == ["rehearse"]
run = load_run(Path(sys.argv[1]), stand_ins=write_stand_ins(top / "stand_ins") if rehearse else None)
check_offline(run, "short", Reporter())
execute(run, top, Reporter())
"""
RUN = """
kind  = "run"
model = "saint_iberis_tiny"
[set]
depth   = 2
width   = 64
vocab   = 300
context = 64
[stage.corpus]
uses = "dataset"
with = { source = "fineweb_edu_100b", shards = 2, download = true }
[stage.tokenizer]
uses  = "tokenizer"
needs = ["corpus"]
[stage.tokenizer_eval]
uses  = "tokenizer_eval"
needs = ["corpus", "tokenizer"]
with  = { download = true }
[stage.base]
uses  = "pretrain"
needs = ["corpus", "tokenizer"]
with  = { steps = 4, batch_tokens = 256, compile = "no", long_documents = "split", evaluate_every = 0, evaluate_tokens = 256 }
[stage.evaluation]
uses  = "evaluate_base"
needs = ["corpus", "base"]
with  = { core = "eval_bundle", core_rows = 12, core_compile = "no", prompts = ["The"], tokens = 4 }
[stage.mid]
uses  = "midtrain"
needs = ["base"]
with  = { steps = 2, batch_tokens = 256, compile = "no", tasks = [{ task = "gsm8k", download = true }] }
[stage.report]
uses  = "report"
needs = ["corpus", "tokenizer", "tokenizer_eval", "base", "evaluation", "mid"]
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A process in which whoever makes a socket or asks for an address is noted, and fails."""
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap/sitecustomize.py").write_text(TRAP)
    return {
        **{name: value for name, value in os.environ.items() if name != VARIABLE},
        "PYTHONPATH": f"{tmp_path / 'trap'}{os.pathsep}{ROOT}",
        "TRAPPED": str(tmp_path / "trapped"),
        "NANOGEN_DATA": str(tmp_path / "data"),
        "HF_HOME": str(tmp_path / "hub"),
        "TIKTOKEN_CACHE_DIR": str(tmp_path / "tiktoken"),
    }


def alone() -> list[str]:
    """What puts a process where there is no network at all; nothing, where no such place can be made."""
    before = ["unshare", "-rn"]
    try:
        made = subprocess.run([*before, "true"], capture_output=True).returncode == 0
    except OSError:
        made = False
    return before if made else []


def python(code: str, *args: str, env: dict[str, str], before: Sequence[str] = ()) -> Done:
    command = [*before, sys.executable, "-c", code, *args]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_small_run_of_every_kind_opens_no_socket(tmp_path: Path, environment: dict[str, str]):
    (tmp_path / "short.toml").write_text(RUN)
    done = python(
        OFFLINE_RUN,
        str(tmp_path / "short.toml"),
        str(tmp_path / "runs"),
        "rehearse",
        env=environment,
        before=alone(),
    )
    assert done.returncode == 0, done.stderr
    assert "left out, since it is not here: tiktoken" in done.stdout
    assert (tmp_path / "runs/short-rehearsal/report.md").is_file()
    assert not (tmp_path / "trapped").exists(), (tmp_path / "trapped").read_text()


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "from stages.data.web import ask; ask('http://127.0.0.1:9')",
    ],
)
def test_the_trap_catches(tmp_path: Path, environment: dict[str, str], code: str):
    assert python(code, env=environment).returncode == 1
    assert (tmp_path / "trapped").read_text()


def test_what_a_run_lacks_is_named_at_once(tmp_path: Path, environment: dict[str, str]):
    (tmp_path / "short.toml").write_text(RUN.replace("shards = 2, download = true", "shards = 2, path = 'x'"))
    done = python(OFFLINE_RUN, str(tmp_path / "short.toml"), str(tmp_path / "runs"), env=environment)
    assert "there are no shards of `fineweb_edu_100b` here" in done.stderr
    corpus = '{ source = "python_docs", characters = 1000 }'
    (tmp_path / "short.toml").write_text(
        RUN.replace('{ source = "fineweb_edu_100b", shards = 2, download = true }', corpus).replace(
            'tasks = [{ task = "gsm8k", download = true }]', 'tasks = [{ task = "arithmetic", rows = 20 }]'
        )
    )
    done = python(OFFLINE_RUN, str(tmp_path / "short.toml"), str(tmp_path / "runs"), env=environment)
    assert f"1 file is not here: `eval_bundle`; looked in `{tmp_path / 'data'}`" in done.stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "trapped").exists()


def test_the_environment_is_a_switch_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not is_offline()
    for value, meant in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv(VARIABLE, value)
        assert is_offline() is meant


def test_packages_of_others_hear_that_there_is_no_network(monkeypatch: pytest.MonkeyPatch):
    for name in (VARIABLE, *offline._OTHERS):
        monkeypatch.setenv(name, "0")
    offline.go_offline()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    for host in ("example.org", "127.example.org", "localhost.example.org"):
        with pytest.raises(OSError, match=f"`{host}` is not asked"):
            socket.getaddrinfo(host, 443)
    with socket.socket() as one, pytest.raises(OSError, match="is not asked"):
        one.connect(("192.0.2.1", 9))
    with socket.socket() as server:  # this machine is no network: the chat page is served as ever
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname()).close()

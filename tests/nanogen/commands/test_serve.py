"""`nanogen serve` as a process: from its first line to its drained end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def get(url: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)


def test_a_trained_run_is_served_and_ends_when_told_to(trained_run: Path):
    command = [
        sys.executable,
        "-m",
        "nanogen",
        "serve",
        "small.toml",
        "--port",
        "0",
        "--compile",
        "no",
        "--rows",
        "4",
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=trained_run, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            lines = []
            while not (lines and lines[-1].startswith("ready: ")):
                line = running.stdout.readline()
                assert line, lines
                lines.append(line)
            assert lines[0].startswith("small/base: ")
            assert re.search(r"4 rows of 64 positions, at most [\d.]+ [KM]iB each", "".join(lines))
            url = lines[-1].split()[1]
            assert get(f"{url}/health")["status"] == "ok"
            told = get(f"{url}/v1/models")["data"][0]
            assert (told["id"], told["nanogen"]["format"], told["nanogen"]["step"]) == (
                "small/base",
                "plain",
                6,
            )
            body = {"messages": [{"role": "user", "content": "Paragraph 1"}], "max_tokens": 5, "seed": 3}
            one, two = (get(f"{url}/v1/chat/completions", body) for _ in range(2))
            assert one["choices"] == two["choices"]
            assert one["usage"]["completion_tokens"] == 5
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
        finally:
            running.kill()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--host", "0.0.0.0"), "no token is set"),
        (("--cors", "*"), "`*` is not an origin"),
        (("--token", "a b"), "holds what no header can"),
        (("--share-turns", "1"), "the model has no loop"),
    ],
)
def test_mistakes_are_one_message(call, trained_run: Path, monkeypatch, args: tuple[str, ...], message: str):
    monkeypatch.chdir(trained_run)
    code, _, err = call("serve", "small.toml", "--port", "0", "--compile", "no", *args)
    assert code == 1
    assert message in err

"""`nanogen plan`: a table for people, one object for programs, and the exit codes of its faults."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_plan_says_what_a_run_takes(call):
    code, out, err = call("plan", "speedrun_nanochat_2025", "--on", "h100x8")
    assert (code, err) == (0, "")
    assert out.startswith(
        "speedrun_nanochat_2025 on h100x8: 8 x NVIDIA H100 80GB HBM3, 79.1 GiB of memory each\n"
    )
    assert "of which 43 % are assumed\n24.00 dollars an hour, 5.6 kW" in out
    base = next(line for line in out.split("\n") if line.startswith("base "))
    assert re.search(r"pretrain +3\.7e19 +12\.\dB +21,400 +\d+ x \d+ x 8 +3\.\d h +\$\d+\.\d\d", base)
    assert re.search(r"optimizer state, 1/8 +348 MiB", out)
    assert re.search(r"at the peak +[\d.]+ GiB", out)
    assert re.search(r"of 79.1 GiB +\d+%", out)
    assert "left out of the sums" in out
    assert re.search(
        r"^mid +midtrain +<\S+ +<\S+ +<\d,\d+", out, re.MULTILINE
    )  # how many rows it has is known
    assert "data: 256 files, 256 to fetch" in out


def test_what_does_not_fit_comes_with_what_does(call):
    code, out, _ = call("plan", "speedrun_nanochat_2025", "--on", "rtx4090", "--memory", "12G")
    assert code == 0
    assert "warning: `base` does not fit even at 1 row of 2,048" in out
    assert "= help: write `length = 512` in `with` of `[stage.base]`" in out
    assert re.search(r"= help: write `depth = 1\d` in `\[set\]`", out)


def test_programs_get_one_object(call):
    code, out, _ = call("plan", "quickstart", "--on", "cpu", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["run"], found["on"], found["fits"]) == ("quickstart", "cpu", True)
    base = next(stage for stage in found["stages"] if stage["stage"] == "base")
    training = base["training"]
    assert (training["steps"], training["rows"], training["accumulation"]) == (70, 8, 2)
    memory = training["memory"]
    assert memory["peak"] <= training["room"]
    assert memory["weights"] == memory["gradients"]
    assert base["hours"] > 0
    assert found["hours"]["at_most"] >= found["hours"]["counted"]


def test_a_memory_that_is_none_is_wrong_usage(call):
    code, _, err = call("plan", "quickstart", "--memory", "lots")
    assert code == 2
    assert "`--memory 12G`" in err


def test_faults_are_told(call):
    code, _, err = call("plan", "quickstart", "--on", "h100x9")
    assert code == 1
    assert "did you mean `h100x8`?" in err
    code, _, err = call("plan", "quickstartt")
    assert code == 1


def test_a_plan_starts_at_once():
    """It loads no torch and little else that is slow: what starting costs, told without a clock."""
    command = [sys.executable, "-X", "importtime", "-m", "nanogen", "plan", "speedrun_h100", "--on", "h100x8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "stages.planning.plan" in loaded
    slow = {"torch", "numpy", "pyarrow", "networkx", "aiohttp", "matplotlib", "rich", "yaml", "http", "ssl"}
    assert slow.isdisjoint(loaded)

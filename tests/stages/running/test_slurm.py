"""The batch file of a run: what it asks the queue for, what its tasks are told, and that it goes back into the queue."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanogen import cli
from nanogen.planning.hardware import Hardware, Peak
from runtime.faults import Fault
from stages.running.slurm import script, submit

HARDWARE = """
kind      = "hardware"
about     = "two machines of a queue"
device    = "cuda"
count     = 4
machines  = 2
memory    = "80G"
bandwidth = 3.35e12
mfu       = 0.4
launcher  = "slurm"
[peak]
float32  = 6.7e13
bfloat16 = 9.9e14
"""
FAKES = {
    "sbatch": 'echo "$@" > {folder}/submitted; echo "Submitted batch job 7"',
    "scontrol": 'if [ "$1" = show ]; then echo node1; echo node2; else echo "$@" > {folder}/requeued; fi',
    "srun": """while [ "${{1#--}}" != "$1" ]; do shift; done
SLURM_PROCID=5 SLURM_LOCALID=1 SLURM_NTASKS=8 "$@" """,
}


def hardware(device: str = "cuda") -> Hardware:
    return Hardware(
        about="machines",
        device=device,
        count=4,
        machines=2,
        memory=80,
        bandwidth=1.0,
        peak=Peak(1.0),
        mfu=0.4,
    )  # pyright: ignore[reportArgumentType]


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """Commands of a queue that write down what they are asked."""
    for name, does in FAKES.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{does.format(folder=tmp_path)}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def job(folder: Path, command: list[str], device: str = "cuda") -> subprocess.CompletedProcess:
    """The batch file, done by a shell as a node would."""
    path = folder / "job.sbatch"
    text = script(command, hardware(device), name="my run", folder=folder, output=folder / "job.log")
    path.write_text(text)
    environment = {**os.environ, "SLURM_JOB_ID": "41", "SLURM_JOB_NODELIST": "node[1-2]"}
    return subprocess.run(["bash", str(path)], env=environment, capture_output=True, text=True)


def test_a_task_is_a_rank_that_finds_the_first_node(cluster):
    told = 'echo $RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $MASTER_PORT "$0"'
    done = job(cluster, ["bash", "-c", told, "it's one word"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "5 1 8 node1 20041 it's one word\n"
    assert not (cluster / "requeued").exists()


@pytest.mark.parametrize(("code", "again"), [(75, True), (1, False), (130, False)])
def test_a_run_that_made_room_goes_back_into_the_queue(cluster, code, again):
    assert job(cluster, ["bash", "-c", f"exit {code}"]).returncode == code
    assert (cluster / "requeued").exists() == again
    if again:
        assert (cluster / "requeued").read_text() == "requeue 41\n"


def test_the_queue_is_asked_for_what_the_hardware_file_says(tmp_path):
    text = script(["true"], hardware(), name="my run", folder=tmp_path, output=tmp_path / "log")
    asked = {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert asked == {
        "--job-name=my_run",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--gpus-per-node=4",
        "--signal=USR1@120",
        "--requeue",
        "--open-mode=append",
        f"--output={tmp_path / 'log'}",
    }
    of_cpus = script(["true"], hardware("cpu"), name="r", folder=tmp_path, output=tmp_path / "log")
    assert "gpus" not in of_cpus


def run_on(folder: Path, *more: str):
    (folder / "queue.toml").write_text(HARDWARE)
    asked = ["run", "quickstart", "--runs", str(folder / "runs"), "--on", str(folder / "queue.toml")]
    return CliRunner().invoke(cli.cli, [*asked, *more])


def test_a_run_is_submitted_where_there_is_a_queue(cluster):
    done = run_on(cluster, "--from", "base", "--submit")
    assert done.exit_code == 0, done.output
    path = cluster / "runs" / "quickstart" / "job.sbatch"
    assert "Submitted batch job 7" in done.output
    assert (cluster / "submitted").read_text() == f"{path}\n"
    text = path.read_text()
    assert f"-m nanogen run quickstart --runs {cluster / 'runs'} --from base" in text
    assert "--on" not in text
    assert not (path.parent / "corpus").exists()


def test_without_submit_it_is_only_written(cluster):
    done = run_on(cluster)
    assert done.exit_code == 0, done.output
    assert "submit it with `sbatch " in done.output
    assert not (cluster / "submitted").exists()


def test_where_there_is_no_queue_it_says_where_the_file_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_on(tmp_path, "--submit")
    assert isinstance(done.exception, Fault)
    path = tmp_path / "runs" / "quickstart" / "job.sbatch"
    assert done.exception.message == f"there is no `sbatch` here; the batch file lies at `{path}`"
    assert path.is_file()


def test_what_the_queue_refuses_is_told(cluster):
    (cluster / "bin" / "sbatch").write_text("#!/bin/bash\necho 'error: invalid partition' >&2\nexit 1\n")
    with pytest.raises(Fault, match=r"`sbatch` refuses `.*job`: error: invalid partition"):
        submit(cluster / "job")


def test_submit_is_for_a_queue(tmp_path):
    done = CliRunner().invoke(cli.cli, ["run", "quickstart", "--submit", "--on", "h100x8"])
    assert isinstance(done.exception, Fault)
    assert "machines of a queue" in done.exception.message


def test_jobs_and_ranks_do_not_go_together(tmp_path):
    done = CliRunner().invoke(
        cli.cli, ["run", "quickstart", "--runs", str(tmp_path), "--ranks", "2", "--jobs", "2"]
    )
    assert isinstance(done.exception, Fault)
    assert "share this machine out" in done.exception.message

"""A run as a job of Slurm: the file that sbatch takes, written and, where there is a queue, submitted.

A task is a rank, and has a GPU to itself. Two minutes before its time is up a job is told; it saves, ends with exit
code 75, and puts itself into the queue again. So it does where it is preempted.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from nanogen.planning.hardware import Hardware
from runtime.atomic import write_bytes
from runtime.faults import Fault
from runtime.stopping import AGAIN

NOTICE = 120  # seconds
LATE = 90  # seconds that the others have once one task has ended: they tell which is gone
PORTS = 20_000  # the first of as many

SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node={tasks}
{gpus}#SBATCH --signal=USR1@{notice}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={output}

# the ranks find each other at the first node; the port is the job's own
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$(({ports} + SLURM_JOB_ID % {ports}))
export MASTER_ADDR MASTER_PORT
cd {folder} || exit 1

srun --kill-on-bad-exit=0 --wait={late} bash -c \\
  'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS; exec "$@"' rank \\
  {command}
code=$?

# a run that was asked to make room has saved, and goes on where it was
if [ "$code" -eq {again} ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def script(command: Sequence[str], hardware: Hardware, *, name: str, folder: Path, output: Path) -> str:
    """The batch file of a command on the machines of a hardware file, run from a folder."""
    gpus = f"#SBATCH --gpus-per-node={hardware.count}\n" if hardware.device == "cuda" else ""
    return SCRIPT.format(
        name=re.sub(r"[^\w.-]", "_", name),
        nodes=hardware.machines,
        tasks=hardware.count,
        gpus=gpus,
        notice=NOTICE,
        output=shlex.quote(str(output)),
        ports=PORTS,
        folder=shlex.quote(str(folder)),
        late=LATE,
        command=shlex.join(command),
        again=AGAIN,
    )


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())


def submit(path: Path) -> str:
    """Hand a batch file to the queue; returns what that says. Raises Fault where there is none, or it refuses."""
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        message = f"there is no `sbatch` here; the batch file lies at `{path}`"
        raise Fault(message, "give it to `sbatch` on a machine of the cluster")
    done = subprocess.run([sbatch, str(path)], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise Fault(
            f"`sbatch` refuses `{path}`: {reason[-1]}", "change the hardware file, or the batch file itself"
        )
    return done.stdout.strip()

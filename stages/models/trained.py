"""Find the model that a run has trained, by the run's name, its file or a folder, and load it with what it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.shelf import find
from nanogen.text.diagnostics import Refusal
from runtime.chat.conversation import Chat, Format, Plain
from runtime.faults import Fault
from runtime.manifest import AGAIN, NAME, read_manifest
from runtime.pickles import SUFFIXES, a_pickle, pickle_kind
from runtime.plain_json import read_object
from stages.runfile.load import load_run
from stages.work import RESULT

if TYPE_CHECKING:
    from runtime.decoding.engine import Engine
    from runtime.device import Machine
    from stages.models.artefact import Artefact

WEIGHTS = "weights.safetensors"
BASE = ("pretrain",)  # kinds of stages whose models have met no conversation


@frozen
class Trained:
    """A trained model: what it is, and how one talks with it."""

    name: str  # of the run and its stage, as in `quickstart/base`
    artefact: Artefact
    format: Format
    finished: datetime
    steps: int | None  # of its last training

    @property
    def context(self) -> int:
        return self.artefact.compiled.graph.context

    @property
    def dials(self) -> dict[str, Any]:
        return self.artefact.compiled.blueprint["dials"]

    def describe(self) -> str:
        """What people want to know before they talk to it, on one line."""
        parameters = f"{self.artefact.compiled.blueprint['count']:,} parameters"
        step = [] if self.steps is None else [f"step {self.steps:,}"]
        dials = [f"{name} = {dial['default']}" for name, dial in self.dials.items()]
        return ", ".join([f"{self.name}: {parameters}", *step, f"{self.finished:%Y-%m-%d %H:%M} UTC", *dials])


def find_trained(run: str, runs: Path, stage: str | None = None) -> Path:
    """The folder of the model that a run trained last; raises Fault where there is none yet.

    `run` is a run's name or file, or the folder of a model.
    """
    if (Path(run) / WEIGHTS).is_file() or (Path(run) / NAME).is_file():
        if stage is not None:
            raise Fault(
                f"`{run}` is the folder of a model, and has no stage `{stage}`", "name the run instead"
            )
        return Path(run)
    if Path(run).is_file() and (kind := pickle_kind(Path(run))) is not None:
        raise a_pickle(Path(run), kind, "a run or the folder of a model")
    try:
        loaded = load_run(find(run, "run"))
    except (Fault, Refusal):
        if Path(run).is_dir() and any(p.suffix in SUFFIXES for p in Path(run).iterdir()):
            return Path(run)  # the loader says how a published checkpoint comes in
        raise
    names = [found.name for found in loaded.stages]
    if stage is not None and stage not in names:
        raise Fault(f"`{run}` has no stage `{stage}`", f"it has {', '.join(f'`{n}`' for n in names)}")
    folders = [runs / loaded.name / name for name in ([stage] if stage else reversed(names))]
    for folder in folders:
        if (folder / WEIGHTS).is_file() and read_manifest(folder) is not None:
            return folder
    if not any(found.uses in BASE for found in loaded.stages):
        raise Fault(f"`{run}` trains no model", "name a run with a `pretrain` stage")
    where = folders[0] if stage else runs / loaded.name
    raise Fault(f"`{where}` holds no trained model yet", f"train it: `nanogen run {run}`")


def load_trained(folder: Path, *, device: str = "cpu") -> Trained:
    """Load the model of a folder; raises Fault as `read_artefact` does."""
    from stages.models.artefact import read_artefact

    artefact = read_artefact(folder, device=device)
    facts = artefact.manifest
    steps = read_object(folder / RESULT).get("steps") if RESULT in facts["files"] else None
    speaks = Plain if facts.get("uses") in BASE else Chat
    return Trained(
        name="/".join(str(facts[key]) for key in ("run", "stage") if key in facts) or folder.name,
        artefact=artefact,
        format=speaks(artefact.tokenizer),
        finished=_finished(folder, facts),
        steps=steps if isinstance(steps, int) else None,
    )


def _finished(folder: Path, facts: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(facts["finished"])
    except (LookupError, TypeError, ValueError):
        raise Fault(f"the manifest of `{folder}` does not say when the model was finished", AGAIN) from None


def decoding_machine(*, dtype: str, compiled: str) -> Machine:
    """What to decode with. Unless asked, a CPU computes in float32: there a seed repeats its answer whoever else asks,
    where the roundings of bfloat16 depend on how many rows there are.
    """
    from runtime.device import machine

    usual = machine(dtype=dtype, compiled=compiled)
    if dtype != "auto" or usual.device != "cpu":
        return usual
    return machine(
        dtype="float32", compiled=compiled, because="a seed then repeats its answer whoever else asks"
    )


def make_engine(
    trained: Trained,
    machine: Machine,
    *,
    rows: int,
    context: int | None = None,
    turns_kept: int | None = None,
) -> Engine:
    """An engine for a model, which is changed in place for decoding alone; compiled where the machine says so."""
    from runtime.decoding.engine import Engine
    from runtime.decoding.prepack import prepare

    prepare(trained.artefact.model, machine.torch_dtype)
    return Engine(
        trained.artefact.model,
        trained.artefact.compiled.blueprint,
        rows=rows,
        context=min(context or trained.context, trained.context),
        dtype=machine.torch_dtype,
        compiled=machine.compiles,
        turns_kept=turns_kept,
    )

"""Find what a published checkpoint is made of: safetensors, or pickles to be converted, and what lies beside them.

nanochat writes `model_000650.pt` with `meta_000650.json`; others a file, or shards with an index. Reads nothing of a
pickle itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from runtime.faults import Fault
from runtime.pickles import SUFFIXES, pickle_kind
from runtime.plain_json import read_object
from stages.progress import Reporter

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from runtime.published import Published

NANOCHAT = re.compile(r"model_(\d+)\.pt$")
PICKLED_INDEX = "pytorch_model.bin.index.json"
SAME = {
    "n_layer": "depth",
    "n_embd": "width",
    "n_head": "heads",
    "n_kv_head": "kv_heads",
    "sequence_len": "context",
}
HOW_TO_CONVERT = (
    'where nanochat is installed: python -c "import json; from nanochat.tokenizer import get_tokenizer; '
    "e = get_tokenizer().enc; json.dump({'format': 'byte-level bpe 1', 'pattern': e._pat_str, 'special': "
    "e._special_tokens, 'ranks': [t.hex() for t, _ in sorted(e._mergeable_ranks.items(), key=lambda p: p[1])]}, "
    "open('tokenizer.json', 'w'))\", and put it beside the weights"
)


@frozen
class Beside:
    """What lies beside the weights: what nanochat says of them, and a tokenizer."""

    meta: dict[str, Any] | None
    tokenizer: Path | None


@contextmanager
def opened(weights: Path, room: Path, tell: Reporter) -> Iterator[Published]:
    """A checkpoint whose headers were read; pickles are converted into a folder below `room`, which goes at the end."""
    from runtime.published import open_published
    from runtime.unpickling import convert

    pickled = pickles_of(weights)
    if not pickled:
        yield open_published(weights)
        return
    while not room.is_dir():
        room = room.parent
    with TemporaryDirectory(prefix=".nanogen-import-", dir=room) as name:
        folder = Path(name)
        for path in pickled:
            tell.line(f"reading the tensors of {path.name} in a process of its own, and nothing else of it")
        made = convert(pickled, folder)
        found = [open_published(path) for path in made]
        entries = {name: entry for one in found for name, entry in one.entries.items()}
        if len(entries) < sum(len(one.entries) for one in found):
            raise Fault(f"a tensor stands twice in the files of `{weights}`", "keep one of them")
        yield evolve(found[0], files=tuple(pickled), entries=entries)


def pickles_of(weights: Path) -> list[Path]:
    """The pickles that a file or a folder is made of; none where it has safetensors."""
    if weights.is_file():
        # a zip that is called .safetensors is damage or deceit, and is refused where it is read
        return [weights] if weights.suffix in SUFFIXES else []
    if not weights.is_dir() or any(weights.glob("*.safetensors*")):
        return []
    if found := sorted(p for p in weights.iterdir() if NANOCHAT.match(p.name)):
        if len(found) > 1:
            names = ", ".join(f"`{p.name}`" for p in found[:6])
            raise Fault(f"`{weights}` holds several steps: {names}", f"name one: `{found[-1]}` is the last")
        return found
    if (weights / PICKLED_INDEX).is_file():
        return _shards(weights / PICKLED_INDEX)
    found = sorted(p for p in weights.iterdir() if p.suffix in SUFFIXES and p.name != "tokenizer.pkl")
    if len(found) > 1:
        names = ", ".join(f"`{p.name}`" for p in found[:6])
        raise Fault(f"`{weights}` holds several checkpoints: {names}", "name the file of the weights")
    return found


def _shards(index: Path) -> list[Path]:
    listed = read_object(index, "fetch it again").get("weight_map")
    names = sorted(set(listed.values())) if isinstance(listed, dict) and listed else []
    if not names or not all(isinstance(n, str) and n == Path(n).name for n in names):
        raise Fault(f"`{index}` is not an index of shards", 'it has a "weight_map" from tensors to files')
    for name in names:
        if not (index.parent / name).is_file():
            raise Fault(
                f"`{index.parent / name}` is missing, and `{index.name}` lists it", "fetch all shards"
            )
    return [index.parent / name for name in names]


# -- what lies beside


def beside(weights: Path, tell: Reporter) -> Beside:
    """Look beside the weights, before they are read; what cannot be used is told of, with what to do."""
    first = (pickles_of(weights) or [weights])[0]
    found = NANOCHAT.match(first.name)
    meta = first.with_name(f"meta_{found[1]}.json") if found else None
    return Beside(
        read_object(meta, "copy it again") if meta is not None and meta.is_file() else None,
        _tokenizer(first if first.is_dir() else first.parent, tell),
    )


def _tokenizer(folder: Path, tell: Reporter) -> Path | None:
    from runtime.tokenizer import FORMAT

    path = folder / "tokenizer.json"
    if path.is_file() and pickle_kind(path) is None:
        if read_object(path, "copy it again").get("format") == FORMAT:
            return path
        tell.line(
            f"{path.name} is of another kind than nanogen's, and is left out: the model comes without one"
        )
        return None
    pickled = path if path.is_file() else folder / "tokenizer.pkl"
    if pickled.is_file():
        tell.line(f"{pickled.name} is a pickle and is not opened: the model comes without a tokenizer")
        tell.line(HOW_TO_CONVERT)
    return None


def check_meta(meta: dict[str, Any], compiled: Compiled) -> None:
    """Hold what nanochat says of a model against the spec: heads and context show in the shape of no tensor."""
    config = meta.get("model_config")
    if not isinstance(config, dict):
        return
    dims = compiled.graph.dims
    for theirs, ours in SAME.items():
        if theirs in config and ours in dims and config[theirs] != dims[ours]:
            message = f"the checkpoint was trained with {theirs} {config[theirs]}, and `{ours}` is {dims[ours]} here"
            raise Fault(message, f"`--set {ours}={config[theirs]}`, or whatever gives `{ours}` that size")

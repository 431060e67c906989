"""Published checkpoints: which tensors they hold, and their numbers. Safetensors alone; pickles come in by `runtime/unpickling.py`.

One file, or a folder of them with an index. Knows nothing of specs: what to read comes as names and cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen
from safetensors import SafetensorError, safe_open
from torch import Tensor

from runtime.faults import Fault
from runtime.pickles import SUFFIXES, pickle_kind, refuse_pickle
from runtime.plain_json import read_json
from runtime.tensors import not_safetensors

PREFIXES = ("_orig_mod.", "module.")  # what torch.compile and its wrappers put before every name
INDEX = ".safetensors.index.json"

Step = str | tuple[int | slice, ...]  # "T", or a subscript


@frozen
class Entry:
    """Where a tensor stands, and what the header says of it; `stored` is its name before prefixes were taken off."""

    path: Path
    stored: str
    shape: tuple[int, ...]
    dtype: str  # as safetensors writes it: "F32", "BF16"


@frozen
class Published:
    """A checkpoint whose headers were read."""

    files: tuple[Path, ...]
    entries: dict[str, Entry] = field(repr=False)

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], Tensor]]:
        """A function from a name to its tensor; each file is opened once, and mapped rather than copied."""
        with ExitStack() as stack:
            opened: dict[Path, Any] = {}

            def read(name: str) -> Tensor:
                entry = self.entries[name]
                if entry.path not in opened:
                    opened[entry.path] = stack.enter_context(safe_open(entry.path, "pt"))
                return opened[entry.path].get_tensor(entry.stored)

            yield read


def open_published(path: Path) -> Published:
    """Read the headers of a checkpoint; raises Fault with what is wrong with it."""
    files = _files(path)
    entries: dict[str, Entry] = {}
    for file in files:
        for stored, shape, dtype in _header(file):
            name = _plain(stored)
            if name in entries:
                message = (
                    f"the tensor `{name}` stands twice: in `{entries[name].path.name}` and in `{file.name}`"
                )
                raise Fault(message, "keep one of the two")
            entries[name] = Entry(file, stored, shape, dtype)
    return Published(tuple(files), entries)


def assemble(
    read: Callable[[str], Tensor],
    parts: Iterable[tuple[str, Sequence[Step], bool]],
    *,
    shape: Sequence[int],
    dtype: torch.dtype,
) -> Tensor:
    """Cut parts from published tensors and join them on the first axis; a part that is `stacked` gets one."""
    found = []
    for name, steps, stacked in parts:
        tensor = read(name)
        for step in steps:
            tensor = tensor.T if isinstance(step, str) else tensor[step]
        found.append(tensor[None] if stacked else tensor)
    joined = found[0] if len(found) == 1 else torch.cat(found)
    return joined.reshape(tuple(shape)).to(dtype, copy=True, memory_format=torch.contiguous_format)


def _plain(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _header(file: Path) -> list[tuple[str, tuple[int, ...], str]]:
    refuse_pickle(file, "a .safetensors file")
    try:
        with safe_open(file, "pt") as opened:
            slices = ((name, opened.get_slice(name)) for name in opened.keys())  # noqa: SIM118 - no mapping
            return [(name, tuple(s.get_shape()), s.get_dtype()) for name, s in slices]
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise not_safetensors(file, error) from None


# -- which files


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return _in_folder(path)
    if path.suffix in SUFFIXES:
        raise _pickle(path)
    if not path.is_file():
        raise Fault(f"there is no file or folder `{path}`", "name a .safetensors file, or a folder with one")
    if path.name.endswith(INDEX):
        return _indexed(path)
    if path.suffix != ".safetensors":
        raise Fault(f"`{path}` is not a .safetensors file", "name one, or a folder with one")
    return [path]


def _in_folder(folder: Path) -> list[Path]:
    """The whole model of a folder: one file, or the shards that its index lists."""
    whole = folder / "model.safetensors"
    if whole.is_file():
        return [whole]
    indices = sorted(folder.glob(f"*{INDEX}"))
    if len(indices) == 1:
        return _indexed(indices[0])
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found or indices:
        names = ", ".join(f"`{p.name}`" for p in [*indices, *found][:6])
        raise Fault(f"`{folder}` holds more than one model: {names}", "name the file, or the index of shards")
    pickles = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES)
    if pickles:
        raise _pickle(pickles[0])
    raise Fault(
        f"`{folder}` holds no weights", "name a folder with model.safetensors, or with shards and their index"
    )


def _indexed(index: Path) -> list[Path]:
    """The shards that an index lists, each held against what it says stands there."""
    try:
        listed = read_json(index)["weight_map"]
        shards = sorted(set(listed.values()))
        plain = bool(shards) and all(isinstance(s, str) and s == Path(s).name for s in shards)
    except (Fault, LookupError, AttributeError, TypeError):
        shards, listed, plain = [], {}, False
    if not plain:
        raise Fault(
            f"`{index}` is not an index of shards", 'it has a "weight_map" from tensors to files beside it'
        )
    for shard in shards:
        if not (index.parent / shard).is_file():
            raise Fault(
                f"`{index.parent / shard}` is missing, and `{index.name}` lists it", "fetch all shards"
            )
        held = {name for name, _, _ in _header(index.parent / shard)}
        absent = next((name for name, file in listed.items() if file == shard and name not in held), None)
        if absent is not None:
            raise Fault(
                f"`{shard}` has no `{absent}`, which `{index.name}` says it has", "fetch all shards again"
            )
    return [index.parent / shard for shard in shards]


def _pickle(path: Path) -> Fault:
    kind = pickle_kind(path) or "a pickle by its name"
    return Fault(
        f"`{path}` is {kind}: it can run code as it is read, and is not opened here",
        "`nanogen import SPEC FILE` reads its tensors in a process of its own, and nothing else",
    )

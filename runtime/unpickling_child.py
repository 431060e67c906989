"""Read the tensors of one pickled checkpoint and write them as safetensors: a process of its own, which ends then.

The one place where a pickle is opened, by torch's reader that knows tensors and refuses every other name. It is started
by `runtime/unpickling.py` with bounds on its time and memory; nothing else of nanogen is imported here.

    python unpickling_child.py SOURCE TARGET '{"seconds": 300, "memory": 6442450944, "disk": 67108864}'
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

INSIDE = (
    "model",
    "state_dict",
    "model_state_dict",
    "module",
)  # where a checkpoint keeps its weights among others
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


class NoWeights(Exception):
    """The file holds something else."""


def main(source: str, target: str) -> dict[str, Any]:
    """Convert; what is told is how many tensors there are, or why there are none."""
    import torch
    from safetensors.torch import save_file

    try:
        found = load(torch, source)
    except NoWeights as none:
        return {"refused": str(none)}
    except Exception as error:  # torch has many kinds, and each says that it does not read this file
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise MemoryError from error
        return {"refused": reason(error)}
    try:
        tensors = weights(torch, found)
        save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, target)
    except NoWeights as none:
        return {"refused": str(none)}
    return {"tensors": len(tensors)}


def load(torch: Any, source: str) -> Any:
    """What the file holds; mapped rather than read, where it is of the kind that can be."""
    try:
        return torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
    return torch.load(source, map_location="cpu", weights_only=True)


def weights(torch: Any, found: Any) -> dict[str, Any]:
    """The tensors by name: all that the file holds, or all of one of the names that weights go by."""
    if not isinstance(found, dict):
        raise NoWeights(f"it holds a {type(found).__name__}, and no tensors by name")
    if {"state", "param_groups"} <= found.keys():
        raise NoWeights("it holds the state of an optimizer, and not the weights")
    for name in INSIDE:
        if isinstance(found.get(name), dict) and not are_tensors(torch, found):
            found = found[name]
            break
    if not are_tensors(torch, found):
        keys = ", ".join(f"`{key}`" for key in list(found)[:6]) or "nothing"
        raise NoWeights(f"it holds {keys}, which are not tensors by name")
    if strange := [
        n for n, t in found.items() if t.layout != torch.strided or t.is_quantized or t.is_complex()
    ]:
        raise NoWeights(f"`{strange[0]}` is sparse, quantized or complex")
    return found


def are_tensors(torch: Any, found: dict[Any, Any]) -> bool:
    return bool(found) and all(isinstance(k, str) and isinstance(t, torch.Tensor) for k, t in found.items())


def reason(error: Exception) -> str:
    """torch says much; people need which name was called, or the first line."""
    text = str(error).strip() or type(error).__name__
    if found := _GLOBAL.search(text):
        return f"it asks for `{found[1]}`, which is code, and nothing of it was run"
    first = text.splitlines()[0]
    return f"{first[:1].lower()}{first[1:200]}"


def bound(seconds: float, memory: int, disk: int) -> None:
    """Take no more than agreed. Memory is private memory: torch for CUDA reserves more addresses than there are bytes."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such bounds
        return
    cpu = int(seconds) + 1
    for what, most in (("DATA", memory), ("FSIZE", disk), ("CPU", cpu), ("CORE", 0)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))


if __name__ == "__main__":
    bound(**json.loads(sys.argv[3]))
    said = main(*sys.argv[1:3])
    Path(f"{sys.argv[2]}.said").write_text(json.dumps(said), encoding="utf-8")

"""Read a file of tensors that others may have written: safetensors, or one fault that names the file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from runtime.faults import Fault
from runtime.pickles import refuse_pickle


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, on CPU; raises Fault where it is a pickle, damaged, or made to mislead."""
    refuse_pickle(path, "a .safetensors file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise not_safetensors(path, error) from None


def not_safetensors(path: Path, error: Exception) -> Fault:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    message = f"`{path}` cannot be read as safetensors: {reason[:1].lower()}{reason[1:]}"
    return Fault(message, "is it whole? copy, download or convert it again")

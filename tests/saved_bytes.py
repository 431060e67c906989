"""How many bytes a forward pass leaves for its backward."""

from __future__ import annotations

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from runtime.primitives import Now


def saved_bytes(model: nn.Module, tokens: Tensor, now: Now) -> int:
    """Storages that autograd keeps, each once, without weights and rotary tables; casts of weights included."""
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda t: t):
        alive.append(model(tokens, now))  # so that nothing saved is freed and its address used again
    stores = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in alive[:-1]}
    for fixed in (*model.parameters(), *(t for table in now.tables.values() for t in table)):
        stores.pop(fixed.untyped_storage().data_ptr(), None)
    return sum(stores.values())

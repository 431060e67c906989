"""What a batch is: inputs and targets (rows, length) of token ids. Knows nothing of where they come from."""

from torch import Tensor

IGNORED = -1  # a target that counts for nothing

Batch = tuple[Tensor, Tensor]  # inputs_RT, targets_RT: int64

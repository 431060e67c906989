"""A graph becomes PyTorch source, and what the runtime must know beside it."""

"""Published checkpoints held against a graph by an import table."""

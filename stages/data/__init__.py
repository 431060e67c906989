"""Data by name: where it lies on this machine, and its rows by number."""

"""A run as it works, in the terminal: read from what it writes, by a process that does not disturb it."""

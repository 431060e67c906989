"""Runs beside each other: the curves of their logs over steps, tokens, FLOPs and time, and which is ahead."""

"""Decoding: many rows at once, each with its own prompt, positions, sampling, random numbers and end."""

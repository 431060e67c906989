"""Optimizers as data: their files read and checked, their laws computed for one model and one run."""

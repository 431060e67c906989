"""What runs in the sandbox's own interpreter: it has the standard library alone, and no model, run or data."""

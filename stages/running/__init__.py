"""A run at work: what its stages depend on, what stands of them, and how they are done, stopped and kept."""

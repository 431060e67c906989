"""TOML text, where its parts stand, and what is wrong with it, as people read it."""

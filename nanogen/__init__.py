"""nanogen: language models declared in TOML, checked, counted and compiled to readable PyTorch source."""

"""Where documents come from, one file a source, each with `documents(...) -> Iterator[str]`."""

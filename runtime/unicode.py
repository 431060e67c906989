"""Make text that UTF-8 can hold. Knows nothing of tokens or files."""


def well_formed(text: str) -> str:
    """Replace lone surrogates, which a JSON escape can smuggle in, by U+FFFD; join the pairs among them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text

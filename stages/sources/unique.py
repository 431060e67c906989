"""Drop documents that say nothing new. Knows nothing of where they come from."""

import hashlib
from collections.abc import Iterable, Iterator


def unique(documents: Iterable[str]) -> Iterator[str]:
    """Each document the first time it comes, blank ones never; keeps 16 bytes for each it has seen."""
    seen: set[bytes] = set()
    for document in documents:
        digest = hashlib.sha256(document.encode(errors="surrogatepass")).digest()[:16]
        if digest not in seen and not document.isspace() and document:
            seen.add(digest)
            yield document

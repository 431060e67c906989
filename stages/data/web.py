"""Ask a web server: redirects, tokens, and which of its answers are worth asking again. Knows nothing of data.

What speaks HTTP is imported by whoever asks: a run is looked at without it.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from stages.data.offline import VARIABLE, is_offline

TIMEOUT = 30.0  # seconds without a byte
AGAIN = (408, 425, 429)  # and every 5xx
LONGEST_WAIT = 120.0  # seconds, however long a server asks to wait


class Hiccup(Exception):
    """It did not come this time; `after` is how many seconds the server asks to wait."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Refused(Exception):
    """It will not come, however often it is asked for."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


@frozen
class Patience:
    """How often to ask again, and how long to wait before: twice as long each time, and never in step with others."""

    tries: int = 7
    first: float = 0.5  # seconds
    most: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, after: float | None = None) -> None:
        wait = min(self.most, self.first * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)
        self.sleep(max(wait, min(after or 0.0, LONGEST_WAIT)))


def _open(request: Any) -> Any:
    from urllib.request import HTTPRedirectHandler, build_opener

    class Redirects(HTTPRedirectHandler):
        """A token is for the server that it was meant for, and not for the one that has the bytes."""

        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            made = super().redirect_request(req, fp, code, msg, headers, newurl)
            if made is not None:
                made.method = req.get_method()
                if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
                    made.remove_header("Authorization")
            return made

    return build_opener(Redirects).open(request, timeout=TIMEOUT)


def hub() -> str:
    """The address of the Hub, or of the mirror that the environment names."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def ask(url: str, headers: dict[str, str] | None = None, *, method: str = "GET") -> Any:
    """An open answer; raises Hiccup or Refused."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request

    if is_offline():
        raise Refused(f"{VARIABLE} is set, so nothing is asked of {urlsplit(url).netloc}")
    if urlsplit(url).scheme not in ("http", "https"):
        raise Refused(f"`{url}` is no address of the web")
    request = Request(url, headers=headers or {}, method=method)
    request.add_header("User-Agent", "nanogen")
    request.add_header("Accept-Encoding", "identity")
    token = os.environ.get("HF_TOKEN", "").strip()
    if token and urlsplit(url)[:2] == urlsplit(hub())[:2]:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        return _open(request)
    except HTTPError as error:
        error.close()
        said = f"the server answers {error.code} {error.reason}"
        if error.code in AGAIN or error.code >= 500:
            raise Hiccup(said, _seconds(error.headers.get("Retry-After"))) from None
        raise Refused(said, error.code) from None
    except (OSError, HTTPException) as error:
        raise Hiccup(reason(error)) from None
    except ValueError as error:  # an address with a blank, or a port that is none
        raise Refused(f"`{url}`: {error}") from None


def reason(error: Exception) -> str:
    """What a fault of the line says of itself."""
    inner = getattr(error, "reason", error)
    return " ".join(str(inner).split()) or type(inner).__name__


def ask_json(url: str, patience: Patience) -> tuple[Any, str | None]:
    """A JSON answer, and the address of its next page; raises Hiccup or Refused once patience has run out."""
    from http.client import HTTPException

    failures = 0
    while True:
        try:
            with ask(url) as answer:
                return json.loads(answer.read()), _next(answer.headers.get("Link"))
        except (Hiccup, OSError, HTTPException, ValueError) as error:
            failures += 1
            if failures >= patience.tries:
                raise error if isinstance(error, Hiccup) else Hiccup(reason(error)) from None
            patience.pause(failures, getattr(error, "after", None))


def md5_of(headers: Any) -> str | None:
    """The MD5 of a file as S3 names it: of one that was put there whole, and lies there as it is, its tag."""
    tag = headers.get("ETag", "").strip('"')
    plain = len(tag) == 32 and set(tag) <= set("0123456789abcdef")
    coded = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    return tag if plain and "x-amz-request-id" in headers and not coded else None


def _next(link: str | None) -> str | None:
    """The address of the next page in a `Link` header."""
    for part in (link or "").split(","):
        address, _, kind = part.partition(";")
        if 'rel="next"' in kind:
            return address.strip().strip("<>")
    return None


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdigit() else None

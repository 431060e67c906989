"""A server of this machine that imitates the Hub and a plain store of files, and answers badly as often as it is told."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from attrs import define, field

COMMIT = "c0ffee" * 6 + "c0ff"
PAGE = 3  # entries of a listing's page
WAYS = ("drop", "truncate", "corrupt", "busy", "down")


@define
class Site:
    """What is served: files of repositories, and files by their path; and how badly."""

    repositories: dict[str, dict[str, bytes]] = field(factory=dict)
    files: dict[str, bytes] = field(factory=dict)
    bad: float = 0.0  # share of answers that are bad
    always: dict[str, str] = field(factory=dict)  # a part of a path: how it is always answered
    seed: int = 0
    small: int = 64  # a file of fewer bytes is no LFS file
    slow: float = 0.0  # seconds a chunk
    asked: list[tuple[str, str, dict[str, str]]] = field(factory=list)
    url: str = ""
    rng: random.Random = field(init=False)
    lock: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def way(self, path: str) -> str | None:
        """How this answer goes wrong."""
        with self.lock:
            for part, way in self.always.items():
                if part in path:
                    return way
            return self.rng.choice(WAYS) if self.rng.random() < self.bad else None

    def gets(self, part: str) -> list[tuple[str, str, dict[str, str]]]:
        return [one for one in self.asked if one[0] == "GET" and part in one[1]]


def entry(path: str, content: bytes, small: int) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if len(content) >= small:
        found |= {"oid": "0" * 40, "lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}}
    return found


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(head=True)

        def do_GET(self) -> None:
            self.answer(head=False)

        def answer(self, *, head: bool) -> None:
            site.asked.append((self.command, self.path, dict(self.headers.items())))
            found = self.listing() or self.content()
            way = site.way(self.path)
            if found is None:
                self.plain(404)
            elif way in ("busy", "down"):
                self.plain(429 if way == "busy" else 503)
            else:
                content, headers = found
                self.ranged(content, headers, way, head=head)

        def plain(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.send_header("Retry-After", "0")
            self.end_headers()

        def listing(self) -> tuple[bytes, dict[str, str]] | None:
            if found := re.fullmatch(r"/api/datasets/(.+)/revision/main", self.path):
                known = found[1] in site.repositories
                return (json.dumps({"sha": COMMIT}).encode(), {}) if known else None
            found = re.fullmatch(
                r"/api/datasets/(.+)/tree/(\w+)\?recursive=true(?:&cursor=(\d+))?", self.path
            )
            if found is None or found[1] not in site.repositories or found[2] != COMMIT:
                return None
            start = int(found[3] or 0)
            entries = [entry(p, c, site.small) for p, c in sorted(site.repositories[found[1]].items())]
            entries.insert(0, {"type": "directory", "path": "data", "oid": "1" * 40, "size": 0})
            headers = {}
            if start + PAGE < len(entries):
                address = (
                    f"{site.url}/api/datasets/{found[1]}/tree/{COMMIT}?recursive=true&cursor={start + PAGE}"
                )
                headers["Link"] = f'<{address}>; rel="next"'
            return json.dumps(entries[start : start + PAGE]).encode(), headers

        def content(self) -> tuple[bytes, dict[str, str]] | None:
            content = site.files.get(self.path)
            for repository, files in site.repositories.items():
                start = f"/datasets/{repository}/resolve/{COMMIT}/"
                if self.path.startswith(start):
                    content = files.get(self.path.removeprefix(start))
            if content is None:
                return None
            headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}
            return content, headers if self.path.startswith("/datasets") else {
                **headers,
                "x-amz-request-id": "1",
            }

        def ranged(self, content: bytes, headers: dict[str, str], way: str | None, *, head: bool) -> None:
            asked, total = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")), len(content)
            fits = self.headers.get("If-Range", headers.get("ETag")) == headers.get("ETag")
            start = int(asked[1]) if asked and fits and "ETag" in headers else 0
            if start and start >= total:
                self.plain(416)
                return
            body = content[start:]
            self.send_response(206 if start else 200)
            for name, value in headers.items():
                self.send_header(name, value)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if head:
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                return
            self.send(body, way)

        def send(self, body: bytes, way: str | None) -> None:
            part = body[: len(body) // 2]
            if way == "corrupt":
                middle = len(body) // 2
                body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
            if way == "truncate":  # and claims that it was all
                body = part
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            body = part if way == "drop" else body
            for place in range(0, len(body), 4096):
                if site.slow:
                    import time

                    time.sleep(site.slow)
                try:
                    self.wfile.write(body[place : place + 4096])
                except OSError:
                    break
            if way == "drop":
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""The Hugging Face Hub: what a repository holds, by its HTTP API, and what of it lies in the Hub's cache here.

Needs none of the Hub's packages. Knows nothing of what files are used for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import frozen

from stages.data.transfer import Wanted
from stages.data.web import Hiccup, Patience, ask_json, hub

MAIN = "main"


@frozen(eq=False)
class Listing:
    """The files of a repository at one commit."""

    repository: str
    revision: str
    files: Mapping[str, Wanted]


def list_files(repository: str, patience: Patience, revision: str | None = None) -> Listing:
    """Ask for every file of a data set's repository; raises Hiccup or Refused."""
    top = f"{hub()}/api/datasets/{quote(repository)}"
    if revision is None:
        found, _ = ask_json(f"{top}/revision/{MAIN}", patience)
        revision = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(revision, str):
            raise Hiccup("the Hub's answer names no commit")
    page: str | None = f"{top}/tree/{quote(revision)}?recursive=true"
    files: dict[str, Wanted] = {}
    while page is not None:
        entries, page = ask_json(page, patience)
        if not isinstance(entries, list):
            raise Hiccup("the Hub's answer is no list of files")
        for entry in entries:
            if isinstance(entry, dict) and entry.get("type") == "file":
                path = str(entry.get("path"))
                files[path] = _wanted(repository, revision, path, entry)
    return Listing(repository, revision, files)


def _wanted(repository: str, revision: str, path: str, entry: dict[str, Any]) -> Wanted:
    """A large file is known by its SHA-256, a small one by git's hash."""
    url = f"{hub()}/datasets/{quote(repository)}/resolve/{quote(revision)}/{quote(path)}"
    lfs = entry.get("lfs")
    if isinstance(lfs, dict):
        return Wanted(url, lfs.get("size"), lfs.get("oid") or lfs.get("sha256"))
    return Wanted(url, entry.get("size"), blob=entry.get("oid"))


def cached(repository: str) -> Path | None:
    """The folder of the Hub's cache where a data set's files lie as they do in its repository; None where it has none."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    caches = os.environ.get("HF_HUB_CACHE") or home / "hub"
    top = Path(caches) / f"datasets--{repository.replace('/', '--')}"
    try:
        revision = (top / "refs" / MAIN).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    folder = top / "snapshots" / revision
    return folder if revision and folder.is_dir() else None

"""The Hugging Face Hub, for whoever has asked for it: rows of a data set, and single files, from its cache or over
the network. Its packages are optional, and imported only here.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from nanogen.data import DataSet
from runtime.faults import Fault

INSTALL = "install what reads the Hub: `pip install 'nanogen[hub]'`"


@frozen(eq=False)
class HubTable:
    """Rows of `datasets`, which maps them from its cache."""

    rows: Any
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.rows[index]


def package(name: str) -> Any:
    """Import an optional package; raises Fault that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Fault(f"the package `{name}` is not installed here", INSTALL) from None


def hub_rows(data: DataSet, subset: str, split: str, *, download: bool) -> HubTable | None:
    """The rows of a split; without `download`, from the cache alone, and None where it holds none."""
    assert data.repository is not None
    if not download:
        return _cached_rows(data, subset, split)
    datasets = package("datasets")
    try:
        return HubTable(datasets.load_dataset(data.repository, subset, split=split))
    except Exception as error:
        raise _not_fetched(f"`{data.repository}` ({subset}, {split})", error) from None


def _cached_rows(data: DataSet, subset: str, split: str) -> HubTable | None:
    if not any(folder.is_dir() for folder in _cache_folders(data.repository or "")):
        return None  # nothing to import the package for
    try:
        datasets, hub = package("datasets"), package("huggingface_hub")
    except Fault:
        return None
    switches = datasets.config, hub.constants
    before = [module.HF_HUB_OFFLINE for module in switches]
    try:
        for module in switches:
            module.HF_HUB_OFFLINE = True
        return HubTable(datasets.load_dataset(data.repository, subset, split=split))
    except Exception:  # its reasons are many, and all say that the cache does not hold it
        return None
    finally:
        for module, was in zip(switches, before, strict=True):
            module.HF_HUB_OFFLINE = was


def _cache_folders(repository: str) -> Iterator[Path]:
    """Where the two packages keep a data set."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    rows, files = os.environ.get("HF_DATASETS_CACHE"), os.environ.get("HF_HUB_CACHE")
    yield Path(rows or home / "datasets") / repository.replace("/", "___")
    yield Path(files or home / "hub") / f"datasets--{repository.replace('/', '--')}"


def hub_file(data: DataSet, name: str, *, download: bool) -> Path | None:
    """One file of a repository; without `download`, from the cache alone, and None where it holds none."""
    assert data.repository is not None
    if not download and not any(folder.is_dir() for folder in _cache_folders(data.repository)):
        return None
    try:
        hub = package("huggingface_hub")
    except Fault:
        if download:
            raise
        return None
    try:
        found = hub.hf_hub_download(data.repository, name, repo_type="dataset", local_files_only=not download)
    except Exception as error:
        if download:
            raise _not_fetched(f"`{name}` of `{data.repository}`", error) from None
        return None
    return Path(found)


def _not_fetched(what: str, error: Exception) -> Fault:
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return Fault(
        f"{what} did not come from the Hub: {reason}", "run again to go on; files that came are kept"
    )

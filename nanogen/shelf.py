"""Find a spec: a path the user names, or one of those that ship with nanogen."""

from __future__ import annotations

import os
from pathlib import Path

from nanogen.text.diagnostics import Diagnostic, Place, Refusal, closest, nearest
from nanogen.text.document import Document, read_document

FOLDERS = {
    "model": ("", "zoo"),
    "run": ("runs",),
    "hardware": ("hardware",),
    "optimizer": ("optimizers",),
    "data": ("data",),
}


def shelf() -> Path:
    """The folder of the specs that ship: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


def find(name: str, kind: str, *, beside: Path | None = None) -> Path:
    """Return the path of a spec. `beside` is a folder to look in first; raises Refusal."""
    written = _home(name)
    near = [beside / written] if beside is not None and not written.is_absolute() else []
    file = _toml(written)
    candidates = [*near, *map(_toml, near), written, file]
    candidates += [shelf() / folder / file for folder in (*FOLDERS[kind], "")]
    for path in candidates:
        if _is_file(path):
            return path
    raise absent(name, kind)


def read_used(folder: Path | None, key: str) -> tuple[Document, list[Diagnostic]]:
    """Read a file that a spec of `folder` uses: beside it, or among those that ship."""
    written = _home(key)
    places = [folder / written] if folder is not None else []
    path = next((p for p in [*places, shelf() / written] if _is_file(p)), None)
    if path is None:
        shipped = f"; with nanogen there are {', '.join(library())}" if library() else ""
        help = f"paths go from the file that uses it{shipped}"
        return Document(key, "", {}), [Diagnostic("NG001", f"there is no file `{key}`", Place(), help=help)]
    return read_document(path, key)


def library() -> list[str]:
    """The files of modules that ship."""
    return sorted(f"std/{p.name}" for p in (shelf() / "std").glob("*.toml"))


def absent(name: str, *kinds: str) -> Refusal:
    """The refusal of a name that is no file, and no spec of these kinds that ships."""
    what = " or ".join(kinds)
    if name and os.path.isdir(_home(name)):
        message, help = f"`{name}` is a folder, not a {what}", "name a file in it"
    else:
        message = f"there is no {what} `{name}`: no file, and none that ships with nanogen"
        help = _beside(_home(name)) or nearest(name, [known for kind in kinds for known in shipped(kind)])
    return Refusal([Diagnostic("NG001", message, Place(), help=help)], Document(name, "", {}))


def _beside(path: Path) -> str:
    """Help that names the file which a path is surely a slip of; empty where there is none."""
    try:
        known = [file.name for file in path.parent.glob("*.toml")]
    except (OSError, ValueError):
        return ""
    near = closest(path.name, known) or closest(f"{path.name}.toml", known)
    return f"did you mean `{path.with_name(near)}`?" if near is not None else ""


def _home(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # `~nobody`
        return Path(name)


def _toml(path: Path) -> Path:
    return path if path.suffix == ".toml" or not path.name else path.with_name(path.name + ".toml")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that the system cannot hold, or a folder that may not be read
        return False


def shipped(kind: str) -> list[str]:
    """Names of the specs of a kind that ship."""
    return sorted(p.stem for folder in FOLDERS[kind] for p in (shelf() / folder).glob("*.toml"))

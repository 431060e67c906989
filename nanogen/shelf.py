"""Find a spec: a path the user names, or one of those that ship with nanogen."""

from __future__ import annotations

from pathlib import Path

from nanogen.diagnostics import Diagnostic, Place, Refusal, nearest
from nanogen.document import Document

FOLDERS = {"model": "", "run": "runs"}


def shelf() -> Path:
    """The folder of the specs that ship: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


def find(name: str, kind: str, *, beside: Path | None = None) -> Path:
    """Return the path of a spec. `beside` is a folder to look in first; raises Refusal."""
    written = Path(name).expanduser()
    near = [beside / written] if beside is not None and not written.is_absolute() else []
    file = written if written.suffix == ".toml" else written.with_name(written.name + ".toml")
    candidates = [*near, *(p.with_name(p.name + ".toml") for p in near), written, file]
    candidates += [shelf() / FOLDERS[kind] / file, shelf() / file]
    for path in candidates:
        if path.is_file():
            return path
    message = f"there is no {kind} `{name}`: no file, and none that ships with nanogen"
    raise Refusal([Diagnostic("NG001", message, Place(), help=nearest(name, shipped(kind)))], Document(name, "", {}))


def shipped(kind: str) -> list[str]:
    """Names of the specs of a kind that ship."""
    return sorted(p.stem for p in (shelf() / FOLDERS[kind]).glob("*.toml"))

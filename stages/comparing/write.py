"""A comparison as a file: a picture, a page or the numbers. Its ending says which."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from nanogen.views.figures import columns
from runtime.atomic import write_bytes
from runtime.faults import Fault
from stages.comparing import table
from stages.comparing.curve import AXES
from stages.comparing.gather import Compared
from stages.comparing.plot import draw, known_axes
from stages.reporting.page import Section, as_html

ABOUT = "Made by nanogen from the logs of these runs."


def write(compared: Compared, path: Path, by: str | None) -> None:
    """Write the file; `by` is the one axis to draw over, else all that the logs know."""
    form = path.suffix
    if form == ".csv":
        content = as_csv(compared)
    else:
        axes = _axes(compared, by)
        content = page(compared, axes) if form == ".html" else draw(compared, axes, form[1:])
    write_bytes(path, content)


def as_csv(compared: Compared) -> bytes:
    """A row for every point of every curve."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("run", "figure", *AXES.values(), "value", "smoothed"))
    for curve in compared.curves:
        for place, (value, smooth) in enumerate(zip(curve.values, curve.smooth, strict=True)):
            spent = [curve.spent[axis][place] if curve.spent[axis] else "" for axis in AXES]
            writer.writerow((curve.label, curve.figure, *spent, value, round(smooth, 6)))
    return file.getvalue().encode()


def page(compared: Compared, axes: Sequence[str]) -> bytes:
    """A page that needs nothing from elsewhere."""
    picture = draw(compared, axes, "svg").decode()
    notes = tuple(("note", note) for note in compared.notes)
    sections = [
        Section("Curves", facts=notes, picture=picture[picture.index("<svg") :]),
        Section("Runs", text=columns(table.summary(compared))),
    ]
    rows = table.equal(compared)
    if rows:
        sections.append(Section("Where each has spent as much", text=columns(rows)))
    return as_html(table.title(compared), sections, about=ABOUT).encode()


def _axes(compared: Compared, by: str | None) -> list[str]:
    known = known_axes(compared.curves)
    if by is not None and by not in known:
        raise Fault(f"these logs do not all say the {table.EQUAL[by]}", f"draw over {', '.join(known)}")
    return [by] if by is not None else known

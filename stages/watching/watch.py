"""Look at a run again and again: what its stages have come to, what it said last, what its model wrote last."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from stages.logs.headline import headline
from stages.logs.run_folder import LOG, RunFolder, StageFolder
from stages.logs.tail import LogTail
from stages.watching.peak import Peak, peak
from stages.watching.progress import Progress, progress

SAID = 4  # lines of the run's own log
TAIL_BYTES = 8192  # of it, which hold them


@frozen
class Done:
    """A stage that is done, in one line."""

    name: str
    uses: str
    seconds: float | None
    headline: str


@frozen
class Open:
    """A stage that was begun and is not done; `progress` where it trains."""

    name: str
    progress: Progress | None
    peak: Peak | None
    seconds: float  # since it began, or went on


@frozen
class Sight:
    """A run at one moment."""

    name: str
    folder: Path
    state: str  # "not begun", "at work", "stopped" (cut off, or with stages to go) or "done"
    done: tuple[Done, ...]
    open: tuple[Open, ...]
    pending: tuple[str, ...]
    said: tuple[str, ...]
    sample: tuple[str, str, str] | None  # the stage, the prompt and the text


@define
class Watch:
    """What was read of a run so far, so that the next look reads only what is new."""

    run: RunFolder
    hardware: str | None = None  # the file to take the peak from, where one was asked for
    _logs: dict[str, LogTail] = field(factory=dict, init=False)
    _results: dict[str, tuple[Any, dict[str, Any]]] = field(factory=dict, init=False)

    def look(self) -> Sight:
        stages = self.run.stages()
        pending = self.run.pending(stages)
        working = self.run.at_work(stages)
        unfinished = [stage for stage in stages if not stage.done]
        if working:
            state = "at work"
        elif not stages:
            state = "not begun"
        else:
            state = "stopped" if unfinished or pending else "done"
        finished = [stage for stage in stages if stage.done]
        return Sight(
            self.run.name,
            self.run.folder,
            state,
            tuple(self._done(stage) for stage in finished),
            tuple(self._open(stage) for stage in unfinished),
            tuple(pending),
            last_lines(self.run.folder / LOG, SAID),
            self._sample(finished),
        )

    def _done(self, stage: StageFolder) -> Done:
        seconds = (stage.manifest or {}).get("seconds")
        return Done(stage.name, stage.uses, seconds, headline(self._result(stage)))

    def _result(self, stage: StageFolder) -> dict[str, Any]:
        """Read once, and again where the stage was made anew."""
        seen = self._results.get(stage.name)
        if seen is None or seen[0] != stage.manifest:
            seen = self._results[stage.name] = (stage.manifest, stage.result)
        return seen[1]

    def _open(self, stage: StageFolder) -> Open:
        seconds = max(0.0, time.time() - stage.started)
        if not stage.logged:
            return Open(stage.name, None, None, seconds)
        found = progress(self._logs.setdefault(stage.name, LogTail(stage.folder)).read())
        return Open(stage.name, found, peak(found.gpu, found.dtype, self.hardware, found.float8), seconds)

    def _sample(self, finished: list[StageFolder]) -> tuple[str, str, str] | None:
        """The last sample of the stage that was done last of those that left any."""
        with_samples = [stage for stage in finished if self._result(stage).get("samples")]
        if not with_samples:
            return None
        last = max(with_samples, key=lambda stage: str((stage.manifest or {}).get("finished", "")))
        samples = self._result(last)["samples"]
        sample = samples[-1] if isinstance(samples, list) else None
        if not isinstance(sample, dict):  # a count of them
            return None
        return last.name, str(sample.get("prompt", "")), str(sample.get("text", ""))


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The end of a text, without what is empty; a log of days is not read whole."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = text.split("\n")[1 if size > TAIL_BYTES else 0 :]
    return tuple(line for line in lines if line.strip())[-count:]

"""The process of one stage that is done beside others: `python -m stages.running.child ORDER`, made by `beside.py`."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from nanogen.text.diagnostics import Refusal
from runtime.stopping import Stop, Stopped
from stages.progress import Reporter
from stages.runfile.load import load_run
from stages.running.choice import Choice
from stages.running.parent import gone, telling, watch
from stages.running.runner import Runner, Wishes
from stages.running.survey import survey
from stages.running.trouble import as_fault


def main(order: dict[str, Any]) -> int:
    """Do the stage of an order; returns the exit code, with the reason in the order's answer where it is not 0."""
    folder, answer = Path(order["folder"]), Path(order["answer"])
    try:
        _do(order, folder)
        return 0
    except Stopped as stopped:
        if gone():
            return stopped.exit_code  # nobody would read why
        told, code = {"stopped": stopped.signal}, stopped.exit_code
    except Exception as error:
        fault = as_fault(error, folder) if not isinstance(error, Refusal) else None
        told, code = {"bug": "".join(traceback.format_exception(error))}, 70
        if fault is not None:
            told, code = {"message": fault.message, "help": fault.help}, 1
    answer.write_text(json.dumps(told))
    return code


def _do(order: dict[str, Any], folder: Path) -> None:
    stand_ins, log, name = order["stand_ins"], order["log"], order["stage"]
    run = load_run(Path(order["run"]), stand_ins=Path(stand_ins) if stand_ins is not None else None)
    again = frozenset({name} if order["again"] else ())
    choice = Choice(begin=order["begin"], follow=again, again=again)
    tell, stop = Reporter(log=Path(log) if log is not None else None, name=name), Stop()
    runner = Runner(run, folder, tell, stop, Wishes(choice, data_may_change=order["data_may_change"]))
    with telling(tell), stop.listening():
        watch(speaks=True)
        runner.do(next(found for found in survey(run, folder) if found.stage.name == name))


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

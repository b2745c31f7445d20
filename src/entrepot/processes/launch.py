"""The first line of every child: ties its life to the parent's before importing anything that takes time.

Started by the parent as `python -P -m entrepot.processes.launch <role> <parent pid>`.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from typing import NoReturn

from entrepot.processes.parent_death import die_with_parent, name_process

__all__ = ["launch"]

_MODULES = {
    "http": "entrepot.processes.http_server",
    "background": "entrepot.processes.background_worker",
    "ops": "entrepot.processes.ops_listener",
}


def launch(role: str, parent_pid: int) -> NoReturn:
    """Become the child of that role, to the end of the process.

    The end leaves out the interpreter's own, which waits for every thread: one that reads from a disk that does not
    answer would keep the process from ending.
    """
    die_with_parent(parent_pid)
    name_process(f"entrepot-{role}")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # "reload" sent to a whole group is the parent's business
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # until the process is ready: loading modules makes objects, hardly any garbage
    # structlog imports rich wherever it finds it, which the command line does need: 0.3 s and 5 MB in each process
    # that never prints a table. None here makes the import fail, as where rich is not installed.
    sys.modules["rich"] = None  # type: ignore[assignment]  # a documented value, unknown to the stubs
    try:
        exit_code: int = importlib.import_module(_MODULES[role]).main()
    except Exception as error:  # noqa: BLE001  # the last frame of the process, in place of the interpreter's own
        sys.excepthook(type(error), error, error.__traceback__)
        exit_code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    launch(sys.argv[1], int(sys.argv[2]))

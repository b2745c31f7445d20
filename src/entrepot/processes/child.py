"""What all children share between their launch and their work: assignment, log, SIGTERM, the meaning of their end."""

from __future__ import annotations

import asyncio
import gc
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop

from entrepot.metadata.errors import RebuildUnfinishedError, SchemaMismatchError
from entrepot.observability.logging import configure_logging, flush_logging
from entrepot.processes.assignment import Assignment, Ready, Refused, StatusPipe, read_assignment
from entrepot.processes.errors import ExitCode
from entrepot.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.kernel.errors import EntrepotError

__all__ = ["ChildContext", "run_child"]

_STANDARD_INPUT = 0


@dataclass(frozen=True, slots=True)
class ChildContext:
    """What a child's main coroutine works with.

    `stop` is set by SIGTERM, `part` by SIGUSR1 once `stop` is: the time for requests under way is over, the process is
    killed soon.
    """

    assignment: Assignment
    settings: Settings
    status: StatusPipe
    stop: asyncio.Event
    part: asyncio.Event

    def report_ready(self) -> None:
        """Tell the parent that this process does its work from now on."""
        # What was loaded lives as long as the process: the collector, off since the launch, need not look at it again.
        gc.freeze()
        gc.enable()
        self.status.send(Ready())


def run_child(main: Callable[[ChildContext], Awaitable[None]]) -> int:
    """Run a child's main coroutine until it returns; return the exit code of the process.

    A SettingsError before or while building, a database with another schema, and one that a rebuild has filled in part
    are reported as a refusal: at the first start the parent gives up. Anything else that is raised ends the process by
    way of sys.excepthook, which logs it, and the parent starts another one.
    """
    assignment = read_assignment(_STANDARD_INPUT)
    status = StatusPipe(assignment.status)
    try:
        settings = assignment.settings
        configure_logging(settings.log.level, settings.log.format, assignment.role)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_until_stopped(main, assignment, settings, status))
    except SettingsError as error:
        return _refuse(status, error, ExitCode.BAD_SETTINGS)
    except SchemaMismatchError as error:
        return _refuse(status, error, ExitCode.SCHEMA_MISMATCH)
    except RebuildUnfinishedError as error:
        return _refuse(status, error, ExitCode.REBUILD_UNFINISHED)
    finally:
        flush_logging()
    return ExitCode.OK


def _refuse(status: StatusPipe, error: EntrepotError, exit_code: ExitCode) -> int:
    status.send(Refused(reason=str(error), exit_code=exit_code))
    return exit_code


async def _run_until_stopped(
    main: Callable[[ChildContext], Awaitable[None]],
    assignment: Assignment,
    settings: Settings,
    status: StatusPipe,
) -> None:
    stop, part = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def note_parting() -> None:
        """Kept from before, it would cut off the requests of a stop that has its time yet."""
        if stop.is_set():
            part.set()

    # A turn later: where both signals come in one, this one may be the first.
    loop.add_signal_handler(signal.SIGUSR1, loop.call_soon, note_parting)
    await main(ChildContext(assignment, settings, status, stop, part))

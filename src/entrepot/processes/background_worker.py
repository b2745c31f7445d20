"""The child for work no request waits for: see `launch` for how it is started."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError
from entrepot.processes.child import ChildContext, run_child
from entrepot.processes.factories import load_background_factory

__all__ = ["WorkerEndedError", "main", "work"]


class WorkerEndedError(EntrepotError):
    """The worker returned although nobody had asked it to stop."""


def main() -> int:
    """Run as this process; return the exit code."""
    return run_child(work)


async def work(context: ChildContext) -> None:
    """Build the worker and run it until told to stop."""
    worker = load_background_factory(context.assignment.factory)(context.settings)
    context.report_ready()
    await worker.run(context.stop)
    if not context.stop.is_set():
        raise WorkerEndedError("the background worker ended by itself")

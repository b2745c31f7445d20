"""The child for health, readiness and metrics: see `launch` for how it is started.

It is a process of its own so that it can tell of the others when they hang or die. Its server is that of the
public listener: one parser, one set of limits and times to trust instead of two.
"""

from __future__ import annotations

from entrepot.http1.listener import Listener
from entrepot.http1.options import ListenerOptions
from entrepot.processes.child import ChildContext, run_child
from entrepot.processes.drain_flag import DrainFlag
from entrepot.processes.factories import load_probes_factory
from entrepot.processes.ops_application import OpsApplication
from entrepot.processes.public_probe import PublicProbe
from entrepot.processes.sockets import end_stalled_answers

__all__ = ["main", "observe"]

_OPTIONS = ListenerOptions(max_connections=128, header_timeout_seconds=10.0)


def main() -> int:
    """Run as this process; return the exit code."""
    return run_child(observe)


async def observe(context: ChildContext) -> None:
    """Answer until told to stop, which the parent does last."""
    probes = load_probes_factory(context.assignment.factory)(context.settings)
    flag = DrainFlag(context.assignment.drain_flag)
    application = OpsApplication(flag.is_up, PublicProbe(context.settings).check, probes)
    end_stalled_answers(context.assignment.listener, context.settings.limits.silence_seconds)
    listener = Listener(application, context.assignment.listener, _OPTIONS)
    listener.start()
    context.report_ready()
    await context.stop.wait()
    await listener.stop()
    await probes.aclose()

"""The child for health, readiness and metrics: see `launch` for how it is started.

It is a process of its own so that it can tell of the others when they hang or die. Its server is Granian like that of
the public listener: one parser with header time-out and a limit of connections to trust instead of two, at the price
of about 5 MB over a listener written on asyncio.
"""

from __future__ import annotations

from entrepot.processes.child import ChildContext, run_child
from entrepot.processes.drain_flag import DrainFlag
from entrepot.processes.factories import load_probes_factory
from entrepot.processes.granian_listener import GranianListener, ListenerOptions
from entrepot.processes.ops_application import OpsApplication
from entrepot.processes.public_probe import PublicProbe

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
    listener = GranianListener(application, context.assignment.listener, _OPTIONS)
    listener.start()
    context.report_ready()
    await context.stop.wait()
    await listener.stop()
    await probes.aclose()

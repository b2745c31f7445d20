"""The child that serves clients: see `launch` for how it is started."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
from pathlib import Path

from entrepot.http1.listener import Listener
from entrepot.http1.options import ListenerOptions, TlsOptions
from entrepot.processes.child import ChildContext, run_child
from entrepot.processes.drain_flag import DrainFlag
from entrepot.processes.factories import load_application_factory
from entrepot.processes.lifespan import run_lifespan
from entrepot.processes.sockets import end_stalled_answers
from entrepot.settings import Settings, SettingsError, uses_tls

__all__ = ["check_tls", "main", "serve"]

_CLOSING_PAUSE_SECONDS = 1.0
"""For connections just made: time for a TLS handshake and a first request over a slow line."""


def main() -> int:
    """Run as this process; return the exit code."""
    return run_child(serve)


async def serve(context: ChildContext) -> None:
    """Build the application, serve it until told to stop, and end when the last request has."""
    tls = check_tls(context.settings)
    application = load_application_factory(context.assignment.factory)(context.settings)
    async with run_lifespan(application):
        limits = context.settings.limits
        end_stalled_answers(context.assignment.listener, limits.silence_seconds)
        options = ListenerOptions(_max_connections(limits.connections), limits.head_seconds, tls)
        listener = Listener(application, context.assignment.listener, options)
        listener.start()
        context.report_ready()
        await context.stop.wait()
        listener.stop_accepting()
        if DrainFlag(context.assignment.drain_flag).is_up():
            listener.refuse_connections()  # else another process goes on with this socket
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_PAUSE_SECONDS):
                await context.part.wait()
        await _end(listener, context.part)


async def _end(listener: Listener, part: asyncio.Event) -> None:
    """Wait for requests under way; once their time is over, treat clients that still send as if they had gone.

    So what has arrived of uploads is kept, and nobody has to wait until this process's leases run out (I7, F40).
    """
    ending, parting = asyncio.create_task(listener.stop()), asyncio.create_task(part.wait())
    await asyncio.wait({ending, parting}, return_when=asyncio.FIRST_COMPLETED)
    parting.cancel()
    if not ending.done():
        listener.part()
    await ending


def check_tls(settings: Settings) -> TlsOptions | None:
    """Return the options for TLS, None without; reads both files, so that what is wrong is said by its setting.

    Raises:
        SettingsError: naming the file, for a file that can't be read or a pair that doesn't fit.
    """
    if not uses_tls(settings):
        return None
    certificate, key = Path(settings.tls.certificate), Path(settings.tls.key)
    for name, path in (("tls.certificate", certificate), ("tls.key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise SettingsError((f"{name}: file {path} can't be read: {error.strerror}",)) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse_password)
    except (ssl.SSLError, ValueError) as error:
        problem = f"tls.certificate {certificate} and tls.key {key} can't be used together: {error}"
        raise SettingsError((problem,)) from error
    return TlsOptions(certificate, key, settings.tls.min_version)


def _refuse_password() -> str:
    message = "the key is protected by a password, and nobody is here to type it"
    raise ValueError(message)


def _max_connections(wanted: int) -> int:
    """A third of the descriptors: one that sends a file holds three, and without a free one none is accepted (F10)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(16, min(wanted, soft // 3 - 32))

"""Binds the listening sockets in the parent, so that a taken port is said at once and no child's death closes one.

Children inherit the descriptor. While an HTTP process is being respawned or replaced, the kernel keeps queueing
connections on the socket the parent holds: clients wait for a moment instead of being refused, and none is reset
because a process with its own SO_REUSEPORT queue went away.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from typing import TYPE_CHECKING

from entrepot.processes.errors import ExitCode, StartRefusedError

if TYPE_CHECKING:
    from entrepot.settings import ListenAddress

__all__ = ["LISTEN_BACKLOG", "bind_listener", "end_stalled_answers", "raise_descriptor_limit"]

LISTEN_BACKLOG = 1024
"""Connections the kernel may queue; it takes the smaller of this and net.core.somaxconn."""
_MAX_DESCRIPTORS = 1 << 20
"""Some container engines set a hard limit of a thousand million, which nobody needs."""


def bind_listener(address: ListenAddress, setting: str) -> socket.socket:
    """Return a listening, non-blocking socket on `address`; `setting` is the key that named it, for the message.

    SO_REUSEADDR lets a restart pass connections in TIME_WAIT; SO_REUSEPORT is not set, because with it a second
    registry on the same port would be given every other connection instead of an error.

    Raises:
        StartRefusedError: ADDRESS_IN_USE, or BAD_SETTINGS for an address this machine doesn't have or may not use.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _refusal(address, setting, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address.is_wildcard else 1)
        listener.bind((address.host, address.port))
        listener.listen(LISTEN_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # takes no keyword
    except (OSError, OverflowError) as error:
        listener.close()
        raise _refusal(address, setting, error) from error
    return listener


def end_stalled_answers(descriptor: int, seconds: float) -> None:
    """Have the kernel end connections whose peers take nothing of what they are sent for so long (F41).

    Connections get the option from the listener that accepts them. The server has no such limit of its own, and the
    application is not asked while a whole file is sent. Source: tcp(7), TCP_USER_TIMEOUT.
    """
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(_MAX_DESCRIPTORS, _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return min(soft, wanted) if soft != resource.RLIM_INFINITY else wanted


def _refusal(address: ListenAddress, setting: str, error: OSError | OverflowError) -> StartRefusedError:
    if isinstance(error, OverflowError):
        return StartRefusedError(ExitCode.BAD_SETTINGS, f"{setting}: {address} has no valid port")
    if error.errno == errno.EADDRINUSE:
        reason = f"{setting}: address {address} is already in use by another process"
        return StartRefusedError(ExitCode.ADDRESS_IN_USE, reason)
    return StartRefusedError(ExitCode.BAD_SETTINGS, f"{setting}: can't listen on {address}: {error.strerror}")

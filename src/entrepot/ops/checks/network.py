"""Checks of the listeners: whether the addresses are free or ours, and whether what they offer is meant."""

from __future__ import annotations

import errno
import fcntl
import os
import socket

from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.processes.data_directory import RUN_DIRECTORY
from entrepot.settings import ListenAddress, Settings, http_listen, ops_listen, uses_tls

__all__ = [
    "check_exposure",
    "check_ops_listener",
    "check_public_listener",
    "is_address_free",
    "is_node_running",
]


def check_public_listener(settings: Settings) -> Finding:
    """Check the address for clients; in use is fine if this node's registry is running."""
    return _check_listener(settings, http_listen(settings), "http.listen")


def check_ops_listener(settings: Settings) -> Finding:
    """Check the address for health and metrics, as the public one."""
    return _check_listener(settings, ops_listen(settings), "ops.listen")


def _check_listener(settings: Settings, address: ListenAddress, key: str) -> Finding:
    try:
        free = is_address_free(address)
    except OSError as error:
        remedy = f"Set {key} to an address of this machine and a port this user may use."
        return failed(key, f"can't listen on {address}: {error.strerror}", remedy)
    if free:
        return passed(key, f"{address} is free")
    if is_node_running(settings):
        return passed(key, f"{address} is in use, and the registry of this data directory is running")
    return failed(key, f"{address} is in use by another program", f"Stop that program, or set {key}.")


def is_address_free(address: ListenAddress) -> bool:
    """Whether nothing listens on the address. Raises OSError if it can't be used for another reason."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def is_node_running(settings: Settings) -> bool:
    """Whether a registry holds the lock of this data directory. Raises PermissionError if this user can't tell."""
    try:
        descriptor = os.open(settings.data.directory / RUN_DIRECTORY / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_exposure(settings: Settings) -> Finding:
    """Check whether what the public listener offers can be meant."""
    listen = http_listen(settings)
    if listen.is_loopback:
        return passed("exposure", f"{listen} is reached from this machine only")
    if settings.access.insecure_anonymous:
        message = f"everybody who can reach {listen} may push, pull and overwrite (access.insecure_anonymous)"
        return warned("exposure", message, "Turn it off, or keep the listener in a closed network.")
    if not settings.access.accounts:
        message = f"{listen} is reached from outside, and without accounts serves this machine only"
        return warned("exposure", message, "Set access.accounts = true, or listen on 127.0.0.1.")
    if not uses_tls(settings):
        message = f"{listen} is reached from outside and has no TLS: passwords and tokens cross the network in clear"
        remedy = (
            "Set tls.certificate and tls.key, or put a proxy in front that encrypts; clients insist on it."
        )
        return warned("exposure", message, remedy)
    return passed("exposure", f"{listen} is reached from outside, with TLS")

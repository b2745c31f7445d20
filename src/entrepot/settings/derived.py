"""What follows from the settings, computed in one place so that two processes can't come to two answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.settings.listen import ListenAddress, parse_listen
from entrepot.settings.networks import Network, parse_networks

if TYPE_CHECKING:
    from entrepot.settings.tree import Settings

__all__ = [
    "OPS_PORT_OFFSET",
    "audit_directory",
    "first_password_file",
    "http_listen",
    "metadata_path",
    "metadata_url",
    "ops_listen",
    "public_url",
    "storage_root",
    "suspicion_marker",
    "trusted_proxies",
    "uses_postgresql",
    "uses_tls",
]

OPS_PORT_OFFSET = 80


def http_listen(settings: Settings) -> ListenAddress:
    """Return the public listener's address."""
    return parse_listen(settings.http.listen)


def ops_listen(settings: Settings) -> ListenAddress:
    """Return the ops listener's address: as set, else 127.0.0.1 and the public port plus 80."""
    if settings.ops.listen:
        return parse_listen(settings.ops.listen)
    return ListenAddress("127.0.0.1", http_listen(settings).port + OPS_PORT_OFFSET)


def trusted_proxies(settings: Settings) -> tuple[Network, ...]:
    """Return the networks of the proxies whose word on who asks is believed."""
    return parse_networks(settings.http.trusted_proxies)


def uses_tls(settings: Settings) -> bool:
    """Whether the public listener speaks TLS."""
    return settings.tls.certificate != ""


def audit_directory(settings: Settings) -> Path:
    """Return where the audit log has its files: the spool of notes, and copies of signed checkpoints."""
    return settings.data.directory / "audit"


def first_password_file(settings: Settings) -> Path:
    """Return where the first administrator's random password lies until it was changed."""
    return settings.data.directory / "secrets" / "admin-password"


def public_url(settings: Settings) -> str:
    """Return the URL people use: ``http.external_url``, else the listener's (a wildcard as loopback)."""
    if settings.http.external_url:
        return settings.http.external_url.rstrip("/")
    listen = http_listen(settings)
    if listen.is_wildcard:
        listen = ListenAddress("::1" if ":" in listen.host else "127.0.0.1", listen.port)
    return f"{'https' if uses_tls(settings) else 'http'}://{listen}"


def uses_postgresql(settings: Settings) -> bool:
    """Whether metadata lies in PostgreSQL rather than in the SQLite file."""
    return bool(settings.metadata.url)


def metadata_path(settings: Settings) -> Path:
    """Return the SQLite file; only of use when ``uses_postgresql`` is false."""
    return settings.data.directory / "metadata" / "entrepot.db"


def metadata_url(settings: Settings) -> str:
    """Return the database's address in clear: ``postgresql://…`` as set, else ``sqlite://`` and the absolute path."""
    if uses_postgresql(settings):
        return settings.metadata.url.reveal()
    return f"sqlite://{metadata_path(settings)}"


def storage_root(settings: Settings) -> Path:
    """Return the directory of the blobs; only of use when ``storage.driver`` is filesystem."""
    return Path(settings.storage.root) if settings.storage.root else settings.data.directory / "storage"


def suspicion_marker(settings: Settings) -> Path:
    """Return the file that tells the processes of this node that an fsync of a blob failed; removed at each start."""
    return settings.data.directory / "run" / "storage-suspect"

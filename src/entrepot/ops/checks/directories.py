"""Checks of the directories a node writes to: that it can, what lies beneath, and how much room there is."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from entrepot.kernel.filesystems import NETWORK_FILESYSTEMS, filesystem_kind
from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.settings import (
    LoadedSettings,
    Secret,
    Settings,
    flatten_settings,
    metadata_path,
    setting_fields,
    storage_root,
    uses_postgresql,
)
from entrepot.settings.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "check_config_file",
    "check_data_directory",
    "check_free_space",
    "check_metadata_filesystem",
    "check_secret_files",
    "check_storage_root",
    "judge_filesystem",
    "judge_free_space",
]

_VOLATILE = frozenset({"tmpfs", "ramfs", "overlay"})
_READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
_GIB = 1024**3


def check_config_file(loaded: LoadedSettings) -> Finding:
    """Check that a file with secrets is for its owner only."""
    if loaded.config_file is None:
        return passed("settings", "the settings are sound; no file was read")
    values = flatten_settings(loaded.settings)
    holds_secret = any(
        loaded.origins[key].kind == "file" and _tells_secret(values[key]) for key in _secret_keys()
    )
    mode = loaded.config_file.stat().st_mode
    if holds_secret and mode & _READABLE_BY_OTHERS:
        message = f"{loaded.config_file} holds secrets and others may read it (mode {stat.S_IMODE(mode):04o})"
        return warned("settings", message, f"Run: chmod 600 {loaded.config_file}")
    return passed("settings", f"the settings are sound; {loaded.config_file} was read")


def check_secret_files(loaded: LoadedSettings, environment: Mapping[str, str]) -> Finding:
    """Check that the files named by ``*_FILE`` variables are for their owner only."""
    variables = {
        loaded.origins[key].detail for key in _secret_keys() if loaded.origins[key].kind == "environment"
    }
    paths = [
        Path(environment[name])
        for name in sorted(variables)
        if name.endswith("_FILE") and name in environment
    ]
    open_ones = [str(path) for path in paths if path.stat().st_mode & stat.S_IROTH]
    if open_ones:
        message = f"everybody may read the secret in {', '.join(open_ones)}"
        return warned("secret-files", message, f"Run: chmod o-rwx {' '.join(open_ones)}")
    return passed("secret-files", f"{len(paths)} secrets are read from files of their own")


def _secret_keys() -> list[str]:
    return [field.key for field in setting_fields() if field.is_secret]


def _tells_secret(value: object) -> bool:
    """Tell whether a value of a secret setting is one: an address without a password tells nothing."""
    text = value.reveal() if isinstance(value, Secret) else str(value)
    if "://" not in text:
        return bool(text)
    address = urlsplit(text)
    return address.password is not None or "password=" in address.query


def check_data_directory(settings: Settings) -> Finding:
    """Check that the data directory can be written, or made."""
    return _check_writable("data-directory", settings.data.directory, "data.directory")


def check_storage_root(settings: Settings) -> Finding:
    """Check that the directory of the blobs can be written, or made."""
    return _check_writable("blobs", storage_root(settings), "storage.root")


def _check_writable(check: str, directory: Path, key: str) -> Finding:
    existing = _nearest_existing(directory)
    try:
        if existing == directory:
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(b"x")
                file.flush()
                os.fsync(file.fileno())
            return passed(check, f"{directory} can be written")
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            return passed(check, f"{directory} does not exist yet and can be made")
        reason = "Permission denied" if existing.is_dir() else f"{existing} is no directory"
    except OSError as error:
        reason = error.strerror or str(error)
    remedy = f"Give this user the directory (mkdir, chown), or set {key} to another."
    return failed(check, f"{directory} can't be written: {reason}", remedy)


def check_metadata_filesystem(settings: Settings) -> Finding:
    """Check that the file system beneath is one that a database and the blobs may lie on."""
    if uses_postgresql(settings):
        return passed("file-system", "metadata lies in PostgreSQL")
    path = metadata_path(settings)
    return judge_filesystem(path, filesystem_kind(path))


def judge_filesystem(path: Path, kind: str) -> Finding:
    """Judge the kind of file system that the SQLite file lies on."""
    if kind in NETWORK_FILESYSTEMS:
        message = f"{path} lies on {kind}, a network file system, where SQLite loses data"
        return failed(
            "file-system", message, "Set data.directory to a local disk, or metadata.url to PostgreSQL."
        )
    if kind in _VOLATILE:
        message = f"{path} lies on {kind}, which ends with this container or at the next boot"
        return warned("file-system", message, "Mount a volume of its own at data.directory.")
    return passed("file-system", f"{path} lies on {kind}")


def check_free_space(settings: Settings) -> Finding:
    """Check the room left where blobs are kept against storage.min_free_bytes."""
    directory = settings.data.directory if settings.storage.driver == "s3" else storage_root(settings)
    state = os.statvfs(_nearest_existing(directory))
    return judge_free_space(directory, state.f_bavail * state.f_frsize, settings.storage.min_free_bytes)


def judge_free_space(directory: Path, free_bytes: int, min_free_bytes: int) -> Finding:
    """Judge free bytes: below the floor uploads are refused, near it soon."""
    floor = format_size(min_free_bytes)
    free = f"{free_bytes / _GIB:.1f} GiB free"
    message = f"{free} at {directory}, uploads need more than {floor} (storage.min_free_bytes)"
    remedy = "Enlarge the volume. Deleting images takes them from clients, but frees no bytes yet."
    if free_bytes <= min_free_bytes:
        return failed("free-space", message, remedy)
    if free_bytes < 5 * min_free_bytes:
        return warned("free-space", message, remedy)
    return passed("free-space", message)


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())

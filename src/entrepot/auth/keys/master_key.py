"""The master key: 32 bytes that seal private keys and stored passwords, from a setting or a file of this node.

The file is `secrets/master.key` below the data directory. While secrets are sealed anew, the key that comes next lies
beside it as `master.key.next`, so that a crash at any moment leaves both (F46): whichever sealed a row can be found.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from entrepot.auth.keys.errors import MasterKeyError
from entrepot.kernel.durable_directories import create_directory, sync_directory
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MASTER_KEY_BYTES",
    "MasterKey",
    "begin_replacement",
    "finish_replacement",
    "make_master_key",
    "master_key_path",
    "open_master_keys",
    "parse_master_key",
    "read_master_key_file",
    "read_master_keys",
]

_log: Any = structlog.get_logger()

MASTER_KEY_BYTES: Final = 32
_DIRECTORY: Final = "secrets"
_FILE: Final = "master.key"
_NEXT_FILE: Final = "master.key.next"
_ID_DIGITS: Final = 16
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_MOST_FILE_BYTES: Final = 1024


@final
class MasterKey:
    """A master key; formatting it shows its id, never the key (S27)."""

    __slots__ = ("_secret", "key_id")

    def __init__(self, secret: bytes) -> None:
        """Take the 32 bytes.

        Raises:
            MasterKeyError: there are more or fewer.
        """
        if len(secret) != MASTER_KEY_BYTES:
            message = f"the master key has {len(secret)} bytes instead of {MASTER_KEY_BYTES}"
            raise MasterKeyError(message)
        self._secret = secret
        self.key_id = hashlib.sha256(secret).hexdigest()[:_ID_DIGITS]

    def reveal(self) -> bytes:
        """Return the key itself, to be handed straight to a cipher."""
        return self._secret

    def __repr__(self) -> str:
        return f"MasterKey({self.key_id})"


def parse_master_key(text: str, source: str) -> MasterKey:
    """Read a key in base64; `source` says in an error where it stood.

    Raises:
        MasterKeyError: it is no base64, or has another length than 32 bytes.
    """
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise MasterKeyError(f"{source} holds no base64; make one with: openssl rand -base64 32") from error
    if len(secret) != MASTER_KEY_BYTES:
        length = f"{len(secret)} bytes instead of {MASTER_KEY_BYTES}"
        message = f"{source} holds {length}; make one with: openssl rand -base64 32"
        raise MasterKeyError(message)
    return MasterKey(secret)


def open_master_keys(setting: str, data_directory: Path) -> tuple[MasterKey, ...]:
    """Return the key to seal with, and after it one that may have sealed already; makes a key when there is none.

    Blocks. Processes and threads that start at the same time get the same key.

    Args:
        setting: the value of `secrets.master_key`; empty for the file.

    Raises:
        MasterKeyError: the setting or the file is not usable.
    """
    present = read_master_keys(setting, data_directory)
    return present or make_master_key(data_directory)


def master_key_path(data_directory: Path) -> Path:
    """Return where the key lies when it is not in the settings."""
    return data_directory / _DIRECTORY / _FILE


def make_master_key(data_directory: Path) -> tuple[MasterKey, ...]:
    """Make a key, unless another process was first, and return what there is then. Blocks.

    Raises:
        MasterKeyError: the file can't be written.
    """
    path = master_key_path(data_directory)
    try:
        create_directory(path.parent, _DIRECTORY_MODE)
        made = _publish(path.parent, _FILE, secrets.token_bytes(MASTER_KEY_BYTES))
    except OSError as error:
        raise MasterKeyError(f"{path} can't be used: {error.strerror}") from error
    keys = read_master_keys("", data_directory)
    if made:
        _log.info("master_key.made", path=str(path), key_id=keys[0].key_id)
    return keys


def read_master_keys(setting: str, data_directory: Path) -> tuple[MasterKey, ...]:
    """Return the same as `open_master_keys`, but nothing where there is no key. Blocks.

    Raises:
        MasterKeyError: the setting or the file is not usable.
    """
    if setting:
        return (parse_master_key(setting, "secrets.master_key"),)
    directory = data_directory / _DIRECTORY
    try:
        if not (directory / _FILE).exists():
            return ()
        keys = [read_master_key_file(directory / _FILE)]
        if (directory / _NEXT_FILE).exists():
            keys.append(read_master_key_file(directory / _NEXT_FILE))
    except OSError as error:
        raise MasterKeyError(f"{directory / _FILE} can't be used: {error.strerror}") from error
    return tuple(keys)


def begin_replacement(data_directory: Path) -> MasterKey:
    """Return the key that is to come next, made durable; the one of a replacement that broke off, if there is one.

    Blocks.

    Raises:
        MasterKeyError: it can't be written.
    """
    directory = data_directory / _DIRECTORY
    try:
        if not (directory / _NEXT_FILE).exists():
            _publish(directory, _NEXT_FILE, secrets.token_bytes(MASTER_KEY_BYTES))
        sync_directory(directory)  # whoever gave it its name may have been killed before they came to this
        return read_master_key_file(directory / _NEXT_FILE)
    except OSError as error:
        raise MasterKeyError(f"{directory / _NEXT_FILE} can't be written: {error.strerror}") from error


def finish_replacement(data_directory: Path) -> None:
    """Make the next key the only one, when everything is sealed with it. Blocks.

    Raises:
        MasterKeyError: the file can't be replaced; both keys are still there.
    """
    directory = data_directory / _DIRECTORY
    try:
        (directory / _NEXT_FILE).replace(directory / _FILE)
        reach(Failpoint.MASTER_KEY_REPLACED)
        _remove_leftovers(directory)
        sync_directory(directory)
    except OSError as error:
        raise MasterKeyError(f"{directory / _FILE} can't be replaced: {error.strerror}") from error


def read_master_key_file(path: Path) -> MasterKey:
    """Read a key from a file. Blocks.

    Raises:
        OSError: it can't be read.
        MasterKeyError: it holds no key.
    """
    with path.open("rb") as file:
        text = file.read(_MOST_FILE_BYTES).decode("ascii", "replace")
    return parse_master_key(text, str(path))


def _publish(directory: Path, name: str, secret: bytes) -> bool:
    """Give the file its name only when its bytes are durable; leave one alone that another process made (False)."""
    made = False
    staged = directory / f".{name}.{secrets.token_hex(8)}"
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    try:
        try:
            _give_to_owner(descriptor, directory)
            os.write(descriptor, base64.b64encode(secret) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        reach(Failpoint.MASTER_KEY_WRITTEN)
        with contextlib.suppress(FileExistsError):
            (directory / name).hardlink_to(staged)
            made = True
        reach(Failpoint.MASTER_KEY_NAMED)
    finally:
        staged.unlink()
    sync_directory(directory)
    return made


def _remove_leftovers(directory: Path) -> None:
    """Remove what processes left that were killed while they published a key: it may be the former one."""
    for leftover in directory.glob(f".{_FILE}.*"):
        leftover.unlink(missing_ok=True)


def _give_to_owner(descriptor: int, directory: Path) -> None:
    """Let a file that root makes belong to the registry's user, who has to read it."""
    owner = directory.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)

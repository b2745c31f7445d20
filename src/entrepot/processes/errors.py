"""Exit codes of `entrepot serve` and the one error that stands for "refuses to start", so that both are listed once."""

from __future__ import annotations

from enum import IntEnum

from entrepot.kernel.errors import EntrepotError

__all__ = ["ExitCode", "StartRefusedError"]


class ExitCode(IntEnum):
    """What `entrepot serve` ends with; service managers and scripts may rely on the numbers."""

    OK = 0
    """Stopped on request, all processes ended."""
    FAILED = 1
    """Something unforeseen; the log says what."""
    BAD_SETTINGS = 2
    """The settings (or a certificate they name) can't be used; starting again without a change won't help."""
    DATA_DIRECTORY_IN_USE = 3
    """Another process serves this data directory."""
    ADDRESS_IN_USE = 4
    """Another process listens on a wanted address."""
    STORAGE_NOT_WRITABLE = 5
    """The data directory can't be written."""
    SCHEMA_MISMATCH = 6
    """The database has another schema than this program: run `entrepot migrate`, or install the newer program."""
    REBUILD_UNFINISHED = 7
    """The database was filled in part by `entrepot rebuild`, which was interrupted."""


class StartRefusedError(EntrepotError):
    """The processes can't be started; `exit_code` says of which kind the reason is, the text which reason."""

    def __init__(self, exit_code: ExitCode, reason: str) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.reason = reason

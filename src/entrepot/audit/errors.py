"""What the audit log refuses, or can't do."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "AuditExportBrokenOffError",
    "AuditExportUnreadableError",
    "AuditPlacesTakenError",
    "AuditRetentionError",
    "AuditSearchTooWideError",
    "AuditSearchesBusyError",
]


class AuditRetentionError(EntrepotError):
    """A purge was to remove records that have to be kept."""

    def __init__(self, days: int, least: int) -> None:
        super().__init__(
            f"records of the last {least} days have to be kept, so those older than {days} days can't go"
        )
        self.days = days
        self.least = least


class AuditExportBrokenOffError(EntrepotError):
    """Records that were to be exported are gone, so there is no export: it would say that it was whole."""

    def __init__(self, first: int, *, by_purge: bool) -> None:
        """Take the sequence of the first that is missing, and whether a purge has removed it."""
        why = (
            "a purge overtook the export: begin again"
            if by_purge
            else "and no purge explains that: run entrepot audit verify --database"
        )
        super().__init__(f"record {first} of the audit log is not there any more, {why}")
        self.first = first
        self.by_purge = by_purge


class AuditExportUnreadableError(EntrepotError):
    """A file is no export of an audit log, or of a later format than this program knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no export of an audit log that can be read: {reason}")
        self.reason = reason


class AuditPlacesTakenError(EntrepotError):
    """A record stands behind the end of the chain: it was made up, or the end was set back."""

    def __init__(self, end: int, found: int) -> None:
        """Take the sequence of the end, and that of the first record behind it."""
        super().__init__(
            f"the chain of the audit log ends with record {end}, and the database has a record {found} behind it, "
            "which this program did not write: nothing can be added to the chain. The runbook says what to do, under "
            "EntrepotAuditBehind"
        )
        self.end = end
        self.found = found


class AuditSearchTooWideError(EntrepotError):
    """So many records had to be looked at that the database gave up."""

    def __init__(self) -> None:
        super().__init__(
            "too many records had to be looked at: say between which times, or whose acts, of which kind or on what"
        )


class AuditSearchesBusyError(EntrepotError):
    """A search did not get its turn in time, so nothing was looked at."""

    def __init__(self) -> None:
        super().__init__(
            "other searches of the audit log are under way, and few may be at once; try again in a second, and send "
            "one after the other if they are yours"
        )

"""What the audit log refuses, or can't do."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["AuditExportUnreadableError", "AuditRetentionError", "AuditSearchTooWideError"]


class AuditRetentionError(EntrepotError):
    """A purge was to remove records that have to be kept."""

    def __init__(self, days: int, least: int) -> None:
        super().__init__(
            f"records of the last {least} days have to be kept, so those older than {days} days can't go"
        )
        self.days = days
        self.least = least


class AuditExportUnreadableError(EntrepotError):
    """A file is no export of an audit log, or of a later format than this program knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no export of an audit log that can be read: {reason}")
        self.reason = reason


class AuditSearchTooWideError(EntrepotError):
    """So many records had to be looked at that the database gave up."""

    def __init__(self) -> None:
        super().__init__(
            "too many records had to be looked at: say between which times, or whose acts, of which kind or on what"
        )

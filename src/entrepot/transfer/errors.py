"""What can be wrong with the other side of an import or export."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "ContentMissingError",
    "ExportError",
    "SourceDamagedError",
    "SourceDeniedError",
    "SourceError",
    "SourceUnavailableError",
    "SourceUnusableError",
    "TagConflictError",
    "TransferError",
]


class TransferError(EntrepotError):
    """The root of everything that stops an import or export, or a part of one."""


class SourceError(TransferError):
    """Something about a source. What is wrong with one image does not end an import."""


class ContentMissingError(SourceError):
    """The source names content that it does not have."""


class SourceDamagedError(SourceError):
    """The source has other bytes than it says, or a file that can't be understood."""


class SourceDeniedError(SourceError):
    """The source does not let these credentials read this."""


class SourceUnavailableError(TransferError):
    """The source does not answer, after all repetitions; the import ends and goes on when it is run again."""


class SourceUnusableError(TransferError):
    """This is no source of the kind it was given as, or it needs other options; the message says which."""


class TagConflictError(TransferError):
    """A tag points elsewhere in the target, and the import was told to fail then."""


class ExportError(TransferError):
    """What was to be exported does not exist, or the destination can't be written."""

"""Named places between two durable steps, where a test may have the process killed (F1).

A registry is judged by what it does when it dies between any two lines, so those lines have names. In normal operation
nothing is armed and reaching a failpoint costs one truth test. The module state is per process on purpose: a failpoint
is about the process that dies, and threading it through every call would put test plumbing into all signatures.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from typing import Final

from entrepot.kernel.errors import EntrepotError

__all__ = ["Failpoint", "UnknownFailpointError", "arm_failpoints", "reach"]


class Failpoint(StrEnum):
    """Every place where a crash is interesting, each kind of work in the order of its steps."""

    SESSION_CREATED = "session.created"
    SESSION_LEASED = "session.leased"
    STAGED_FILE_CREATED = "staged.file.created"
    STAGED_BYTES_WRITTEN = "staged.bytes.written"
    STAGED_BYTES_SYNCED = "staged.bytes.synced"
    SESSION_PROGRESS_COMMITTED = "session.progress.committed"
    FINISH_LEASED = "finish.leased"
    BLOB_RENAMED = "blob.renamed"
    BLOB_DIRECTORY_SYNCED = "blob.directory.synced"
    BLOB_COMMITTED = "blob.committed"
    OBJECT_WRITTEN = "object.written"
    OBJECT_SYNCED = "object.synced"
    OBJECT_RENAMED = "object.renamed"
    OBJECT_DIRECTORY_SYNCED = "object.directory.synced"
    MANIFEST_BYTES_STORED = "manifest.bytes.stored"
    MANIFEST_COMMITTED = "manifest.committed"
    DELETE_COMMITTED = "delete.committed"
    JOURNAL_WRITTEN = "journal.written"
    BLOB_REPOINTED = "blob.repointed"
    HEAL_STAGED = "heal.staged"
    HEAL_COMMITTED = "heal.committed"
    QUARANTINE_COMMITTED = "quarantine.committed"
    MANIFEST_COPY_DROPPED = "manifest.copy.dropped"
    MANIFEST_COPY_STORED = "manifest.copy.stored"
    SCRUB_RECORDED = "scrub.recorded"
    UNIT_BEFORE_COMMIT = "unit.before.commit"
    UNIT_AFTER_COMMIT = "unit.after.commit"
    MIGRATION_COPIED = "migration.copied"
    MIGRATION_STATEMENT_RUN = "migration.statement.run"
    MIGRATION_RECORDED = "migration.recorded"
    MIGRATION_COMMITTED = "migration.committed"
    REBUILD_UNIT_COMMITTED = "rebuild.unit.committed"
    REBUILD_FINISHED = "rebuild.finished"
    SNAPSHOT_BEGUN = "snapshot.begun"
    SNAPSHOT_ROWS_READ = "snapshot.rows.read"
    SNAPSHOT_BLOB_STORED = "snapshot.blob.stored"
    SNAPSHOT_FINISHED = "snapshot.finished"
    RESTORE_RESERVED = "restore.reserved"
    RESTORE_BLOB_STORED = "restore.blob.stored"
    RESTORE_ROWS_LOADED = "restore.rows.loaded"
    RESTORE_COMMITTED = "restore.committed"
    PRUNE_BEGUN = "prune.begun"
    PRUNE_SNAPSHOT_REMOVED = "prune.snapshot.removed"
    ADMIN_PASSWORD_WRITTEN = "admin.password.written"  # noqa: S105  # a name
    MASTER_KEY_WRITTEN = "master.key.written"
    MASTER_KEY_NAMED = "master.key.named"
    MASTER_KEY_REPLACED = "master.key.replaced"
    AUDIT_NOTED = "audit.noted"
    AUDIT_DRAINED = "audit.drained"
    AUDIT_SEGMENT_REMOVED = "audit.segment.removed"
    AUDIT_SEALED = "audit.sealed"
    AUDIT_PURGED = "audit.purged"
    AUDIT_CHECKPOINT_ADDED = "audit.checkpoint.added"


class UnknownFailpointError(EntrepotError):
    """A failpoint specification that names no failpoint, or no positive count."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not '<failpoint>' or '<failpoint>:<n-th pass>'")
        self.text = text


_armed: Final[dict[Failpoint, int]] = {}
"""Passes left before the process kills itself, by failpoint; empty unless a test armed something."""


def arm_failpoints(specification: str) -> None:
    """Arm a comma-separated list of `name` or `name:n` (die at the n-th pass, 1 by default); empty disarms all.

    Raises:
        UnknownFailpointError: for a name or a count that does not exist.
    """
    _armed.clear()
    for entry in filter(None, specification.split(",")):
        name, _, count = entry.strip().partition(":")
        try:
            failpoint, passes = Failpoint(name), int(count or "1")
        except ValueError as error:
            raise UnknownFailpointError(entry) from error
        if passes < 1:
            raise UnknownFailpointError(entry)
        _armed[failpoint] = passes


def reach(failpoint: Failpoint) -> None:
    """Pass `failpoint`: do nothing, or kill this process with SIGKILL when it is armed and its turn has come."""
    if _armed and failpoint in _armed:
        _armed[failpoint] -= 1
        if _armed[failpoint] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

"""A host with an audit log, for tests of the commands that are given there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.sealer import Sealer
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from entrepot.ops.audit import export, purge
from entrepot.settings import metadata_url
from tests.asgi.services import scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record, sign_days_ago
from tests.running.laid_schema import lay_schema_for

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["AuditHost", "make_audit_host"]

_OLD = 400 * 24 * 60 * 60 * 1000


class AuditHost:
    """A data directory with an audit log of six records, signed."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.key = directory / "key.pem"
        self.checkpoints = directory / "checkpoints"
        settings = scratch_settings(self.data)
        lay_schema_for(settings)
        self.database = RawDatabase(metadata_url(settings))
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        metadata = await open_metadata(self.database.url, 1, 5.0)
        records = [pull_record(number, (ALICE, BOB)[number % 2]) for number in range(6)]
        await metadata.write(lambda tx: tx.audit.extend(records))
        await self.database.fetch(f"UPDATE audit_records SET at = at - {_OLD} WHERE id <= 2")
        await Sealer(metadata).run()
        key = KeyInMemory()
        await Checkpoints(metadata, key, self.checkpoints).run(0)
        public = key.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        await asyncio.to_thread(self.key.write_bytes, public)
        await metadata.aclose()

    def run(self, *words: str) -> int:
        """Run a command on the database."""
        return run_command_line(("audit", *words, "--data", str(self.data)))

    async def sign_days_ago(self, sequence: int, days: int) -> None:
        """Add an old checkpoint of a record."""
        metadata = await open_metadata(self.database.url, 1, 5.0)
        await sign_days_ago(metadata, KeyInMemory(), sequence, days)
        await metadata.aclose()

    def change(self, statement: str) -> None:
        """Tamper with the database."""
        asyncio.run(self.database.fetch(statement))


def _leave_logging_alone(*_: object) -> None:
    """Take the place of what is for a process of its own."""


def make_audit_host(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AuditHost:
    """Return a host; nothing of this machine is read."""
    (directory / "empty.toml").touch()
    monkeypatch.setenv("ENTREPOT_CONFIG", str(directory / "empty.toml"))
    for command in (export, purge):
        monkeypatch.setattr(command, "configure_logging", _leave_logging_alone)
    return AuditHost(directory)

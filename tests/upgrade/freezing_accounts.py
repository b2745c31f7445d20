"""What freezing takes where there are accounts: a log that is signed, records behind that, and notes in a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from tests.drivers.metadata.raw_database import RawDatabase
from tests.processes.running import wait_for
from tests.upgrade.accounts import APPLICATION, Record

if TYPE_CHECKING:
    import httpx

    from tests.upgrade.accounts import Accounts

__all__ = ["SETTINGS_WITH_ACCOUNTS", "leave_notes", "look_at_the_log", "wait_until_signed"]

SETTINGS_WITH_ACCOUNTS: Final[dict[str, dict[str, Any]]] = {
    "access": {"accounts": True},
    "audit_log": {"checkpoint_seconds": 1},
}
_SIGNED_SECONDS: Final = 60.0
_NOTING: Final = "robot$nightly"
"""Who has done nothing before."""
_BEHIND: Final = """
    SELECT (SELECT count(*) FROM audit_records WHERE sequence IS NULL)
        + (SELECT sequence FROM audit_chain)
        - (SELECT coalesce(max(sequence), 0) FROM audit_checkpoints)
"""
_RECORDS: Final = """
    SELECT id, record_id, coalesce(sequence, 0), user_name, action, outcome, object_name
    FROM audit_records ORDER BY id
"""
_SIGNED: Final = "SELECT sequence, public_key FROM audit_checkpoints ORDER BY sequence DESC LIMIT 1"


def wait_until_signed(url: str) -> None:
    """Wait until everything in the log has its place there, and its end is signed."""
    wait_for(
        lambda: asyncio.run(RawDatabase(url).value(_BEHIND)) == 0,
        _SIGNED_SECONDS,
        lambda: "the end of the audit log was not signed",
    )


def leave_notes(client: httpx.Client, accounts: Accounts) -> None:
    """Pull twice while nobody takes over what is noted of it."""
    account = accounts.named(_NOTING)
    for tag in ("v1", "last"):
        answer = client.get(f"/v2/{APPLICATION}/manifests/{tag}", auth=(account.name, account.secret))
        assert answer.status_code == 200, answer.text
        accounts.noted.append((account.name, "manifest.pull"))


def look_at_the_log(url: str, accounts: Accounts) -> None:
    """Take down what is in the log, and how far it is signed by which key."""
    database = RawDatabase(url)
    accounts.records = [Record(*row) for row in asyncio.run(database.fetch(_RECORDS))]
    ((accounts.signed, key),) = asyncio.run(database.fetch(_SIGNED))
    pem = load_der_public_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    accounts.public_key = pem.decode()
    sealed = [record.sequence for record in accounts.records if record.sequence]
    assert sorted(sealed) == list(range(1, accounts.signed + 1))
    assert len(sealed) < len(accounts.records), "everything has its place: nothing is left to be sealed"
    known = [(record.user, record.action) for record in accounts.records]
    assert not set(known) & set(accounts.noted), known

"""What is changed of the settings on the host is on record on both engines, also when nothing ran meanwhile (I11)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec

from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.settings_marks import SecretMarks, differences_of_secrets
from entrepot.audit.settings_records import SettingsInForce, SettingsRecorder
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.host import host_operator
from entrepot.auth.keys.errors import MasterKeyError
from entrepot.auth.keys.master_key import MasterKey
from entrepot.auth.keys.sealing import Sealing
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from entrepot.settings import Settings, set_secrets, shown_defaults, shown_differences
from entrepot.settings.catalogue import build_settings
from entrepot.settings.secret import MASK, Secret
from tests.running.audit_material import DAY

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = MasterKey(b"k" * 32)
_NOT_COMPARED = "not compared: the last mark was made with another master key, or there is none"


def _settings(directory: Path, **values: Any) -> Settings:
    named = {key.replace("__", "."): value for key, value in values.items()}
    return build_settings({"data.directory": directory, **named})


async def _start(
    metadata: Metadata, settings: Settings, node: str = "node-1", key: MasterKey | None = _KEY
) -> bool:
    async def open_key() -> Sealing:
        if key is None:
            raise MasterKeyError("there is none")
        return Sealing(key)

    in_force = SettingsInForce(shown_differences(settings), shown_defaults(), set_secrets(settings))
    recorder = SettingsRecorder(metadata, host_operator(), node, in_force, open_key)
    recorded = await recorder.run()
    assert not await recorder.run()
    return recorded


async def _changes(metadata: Metadata) -> list[dict[str, Any]]:
    rows = await metadata.audit.page(AuditPageQuery(AuditFilter(action="settings.apply"), 100))
    assert {row.subject for row in rows} == {host_operator().subject}
    return [json.loads(row.body)["change"] for row in reversed(rows)]


async def test_settings_that_differ_from_the_last_record_are_recorded_with_what_they_were_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Accounts that are switched off for one start, and a lock-out that is loosened by a reload."""
    usual = _settings(tmp_path)
    steps = [
        usual,
        _settings(tmp_path, access__accounts=False),
        usual,
        usual,
        _settings(tmp_path, lockout__attempts=500),
    ]

    recorded = [await _start(metadata, settings) for settings in steps]
    other_node = await _start(metadata, usual, "node-2")

    assert (recorded, other_node) == ([False, True, True, False, True], False)
    off, on, loosened = await _changes(metadata)
    assert off["before"] == {"access.accounts": "true"}
    assert off["after"] == {
        "changed": {"access.accounts": "false"},
        "in_force": {"access.accounts": "false"},
    }
    assert on["before"] == {"access.accounts": "false"}
    assert on["after"] == {"changed": {"access.accounts": "true"}, "in_force": {}}
    assert loosened["before"] == {"lockout.attempts": "5"}
    assert loosened["after"]["changed"] == {"lockout.attempts": "500"}


async def test_of_a_secret_only_that_there_is_one_is_recorded_s27(metadata: Metadata, tmp_path: Path) -> None:
    assert await _start(metadata, _settings(tmp_path, secrets__master_key=Secret("a-secret-of-ours")))

    (change,) = await _changes(metadata)
    assert change["before"] == {"secrets.master_key": ""}
    assert list(change["after"]["changed"]) == ["secrets.master_key"]
    assert "a-secret" not in json.dumps(change)


async def test_a_secret_that_was_replaced_is_told_and_nothing_else_of_it_s27(
    metadata: Metadata, tmp_path: Path
) -> None:
    """By settings files between two starts: what stays is not told, what comes back has another mark than before."""
    texts = ["0000", "0000", "1234", "0000"]
    steps = [_settings(tmp_path, storage__s3__secret_key=Secret(text)) for text in texts]

    recorded = [await _start(metadata, settings) for settings in steps]

    assert recorded == [True, False, True, True]
    first, second, third = await _changes(metadata)
    for change in (second, third):
        assert change["before"] == {"storage.s3.secret_key": MASK}
        assert change["after"]["changed"] == {"storage.s3.secret_key": "replaced"}
        assert change["after"]["in_force"] == {"storage.s3.secret_key": MASK}
    made = [change["after"]["secrets"] for change in (first, second, third)]
    assert {one["master_key"] for one in made} == {_KEY.key_id}
    assert len({one["salt"] for one in made}) == len({str(one["marks"]) for one in made}) == 3
    kept = msgspec.convert(made[0], SecretMarks)
    same = {"storage.s3.secret_key": "0000"}
    assert differences_of_secrets(kept, Sealing(_KEY), same) == {}
    assert differences_of_secrets(kept, _OtherKey(), same) == {"storage.s3.secret_key": "replaced"}


class _OtherKey:
    """What somebody has who knows the log, but not the master key."""

    key_id = _KEY.key_id

    def derive(self, purpose: str) -> bytes:
        return hashlib.sha256(f"{self.key_id} {purpose}".encode()).digest()


async def test_secrets_whose_marks_can_not_be_compared_are_told_once(
    metadata: Metadata, tmp_path: Path
) -> None:
    """After the master key was replaced, or while it is missing: nobody hides a replacement behind that."""
    settings = _settings(tmp_path, storage__s3__secret_key=Secret("s3cret"))
    keys = [_KEY, MasterKey(b"n" * 32), MasterKey(b"n" * 32), None, None, _KEY, _KEY]

    recorded = [await _start(metadata, settings, key=key) for key in keys]

    assert recorded == [True, True, False, True, False, True, False]
    told = [change["after"]["changed"]["storage.s3.secret_key"] for change in await _changes(metadata)]
    assert told == [MASK, *[_NOT_COMPARED] * 3]


async def test_records_of_an_older_program_have_no_marks(metadata: Metadata, tmp_path: Path) -> None:
    """The first start of this one makes them, and says so."""
    settings = _settings(tmp_path, storage__s3__secret_key=Secret("s3cret"))
    record = audit_record(
        host_operator(),
        AuditAction.SETTINGS_APPLY,
        AuditObject("settings", "node-1"),
        after={"changed": {}, "in_force": shown_differences(settings)},
    )
    await metadata.write(lambda tx: tx.audit.append(record))

    assert [await _start(metadata, settings) for _ in range(2)] == [True, False]
    assert (await _changes(metadata))[-1]["after"]["changed"] == {"storage.s3.secret_key": _NOT_COMPARED}


async def test_what_was_in_force_outlives_purges_of_its_record(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """A node that was off for years compares with what it had, not with the defaults."""
    secret = Secret("s3cret")
    loose = _settings(tmp_path, lockout__attempts=500, storage__s3__secret_key=secret)
    for settings, node in ((loose, "node-1"), (loose, "node-2"), (_settings(tmp_path), "node-2")):
        await _start(metadata, settings, node)
    for _ in range(2):
        await database.fetch(f"UPDATE audit_records SET at = at - {200 * DAY}")
        await Sealer(metadata).run()
        assert (await AuditPurge(metadata, 180).run(host_operator(), 180)).records > 0
    assert await metadata.audit.count(AuditFilter(action="settings.apply")) == 0

    assert not await _start(metadata, loose)
    assert not await _start(metadata, _settings(tmp_path), "node-2")
    replaced = _settings(tmp_path, lockout__attempts=5, storage__s3__secret_key=Secret("other"))
    assert await _start(metadata, replaced)

    (change,) = await _changes(metadata)
    assert change["before"] == {"lockout.attempts": "500", "storage.s3.secret_key": MASK}
    assert change["after"]["changed"] == {"lockout.attempts": "5", "storage.s3.secret_key": "replaced"}

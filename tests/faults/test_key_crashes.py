"""F46: a command that changes keys is killed at every step; what was sealed and signed stays as good as promised.

The passes are found by an undisturbed run first, so a new step in the code is tried without being listed here.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from entrepot.auth.keys.master_key import open_master_keys
from entrepot.auth.keys.sealing import Sealing
from entrepot.auth.keys.signing_keys import SEALED_PURPOSE
from entrepot.settings import SettingsError
from tests.asgi.services import in_process_registry, scratch_settings
from tests.faults.command_server import CommandServer
from tests.stateful.node import ADMINISTRATOR, basic, bearer, node_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.asgi.client import AsgiClient


@dataclass(frozen=True, slots=True)
class Before:
    """What was signed and sealed before anything was changed.

    Attributes:
        keys: id and state of the keys of tokens, in the order in which they were made.
        secrets: the private halves of all keys, by id.
    """

    token: str
    refresh_token: str
    keys: tuple[tuple[str, str], ...]
    secrets: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Scene:
    """A registry with accounts whose keys are two minutes old, and who runs commands."""

    server: CommandServer
    data: Path
    before: Before
    scratch: Path

    def copy(self, *, lost: bool) -> Path:
        """Return a copy of the registry's directory, perhaps without its master key."""
        target = self.scratch / "copy"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.data, target)
        if lost:
            (target / "secrets" / "master.key").unlink()
        return target


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One registry and one server for all crashes of this module."""
    directory = tmp_path_factory.mktemp("key-crashes")
    data = directory / "data"
    server = CommandServer(directory)
    token, refresh_token = asyncio.run(_log_in(data))
    # Keys of the audit log are made at the first checkpoint; a list is enough to have them.
    assert server.run("keys", "list", "--purpose", "audit", "--data", str(data)).exit_code == 0
    _change(data, "UPDATE signing_keys SET created_at = created_at - 120000")
    yield Scene(server, data, Before(token, refresh_token, _keys(data), _secrets(data)), directory)
    server.close()


async def _log_in(data: Path) -> tuple[str, str]:
    async with in_process_registry(node_settings(data)) as registry:
        reply = await registry.client.request(
            "GET", "/service/token?offline_token=true&client_id=test", basic(*ADMINISTRATOR)
        )
    answer = json.loads(reply.body)
    return answer["token"], answer["refresh_token"]


def _change(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "metadata" / "entrepot.db", isolation_level=None)) as connection:
        connection.execute(statement)


def _keys(data: Path) -> tuple[tuple[str, str], ...]:
    with closing(sqlite3.connect(data / "metadata" / "entrepot.db")) as connection:
        query = "SELECT key_id, state FROM signing_keys WHERE purpose = 'token' ORDER BY id"
        return tuple(connection.execute(query).fetchall())


def _states(data: Path) -> list[str]:
    return [state for _, state in _keys(data)]


def _secrets(data: Path) -> dict[str, bytes]:
    """Return the private half of every key, opened with the master keys that lie there."""
    sealing = Sealing(*open_master_keys("", data))
    with closing(sqlite3.connect(data / "metadata" / "entrepot.db")) as connection:
        rows = connection.execute(
            "SELECT key_id, private_key_sealed, master_key_id FROM signing_keys ORDER BY id"
        ).fetchall()
    return {
        key_id: sealing.unseal(sealed, master_key_id, SEALED_PURPOSE, key_id)
        for key_id, sealed, master_key_id in rows
    }


async def _answers(data: Path, before: Before) -> tuple[int, int, int]:
    """Start the registry; return how it answers to the old token, to a refresh token, and to the token got for it."""
    async with in_process_registry(node_settings(data)) as registry:
        old = (await registry.client.request("GET", "/v2/", bearer(before.token))).status
        assert registry.identity is not None
        service = registry.identity.service
        status, token = await _refreshed(registry.client, before.refresh_token, service)
        fresh = (await registry.client.request("GET", "/v2/", bearer(token))).status
    return old, status, fresh


async def _refreshed(client: AsgiClient, refresh_token: str, service: str) -> tuple[int, str]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "service": service,
        "client_id": "test",
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await client.request("POST", "/service/token", headers, [urlencode(form).encode()])
    return reply.status, json.loads(reply.body).get("access_token", "")


def _crashes(scene: Scene, words: tuple[str, ...], *, lost: bool) -> list[str]:
    """Return every pass of every failpoint that the command passes when nobody disturbs it."""
    whole = scene.server.run(*words, "--data", str(scene.copy(lost=lost)))
    assert (whole.signal, whole.exit_code) == (0, 0)
    return [f"{name}:{turn}" for name, count in whole.passes.items() for turn in range(1, count + 1)]


def _killed(scene: Scene, words: tuple[str, ...], crash: str, *, lost: bool = False) -> Path:
    data = scene.copy(lost=lost)
    assert scene.server.run(*words, "--data", str(data), failpoints=crash).signal == signal.SIGKILL, crash
    return data


def _repeated(scene: Scene, words: tuple[str, ...], data: Path) -> int:
    return scene.server.run(*words, "--data", str(data)).exit_code


def test_a_rotation_killed_anywhere_is_old_or_new_and_ends_no_token_f46(scene: Scene) -> None:
    words = ("keys", "rotate")
    crashes = _crashes(scene, words, lost=False)
    assert {"unit.before.commit:1", "unit.after.commit:1"} <= set(crashes)
    for crash in crashes:
        data = _killed(scene, words, crash)
        states = _states(data)
        assert states in (["active", "next"], ["retired", "active", "next"]), crash
        assert _secrets(data).items() >= scene.before.secrets.items(), crash
        assert asyncio.run(_answers(data, scene.before)) == (200, 200, 200), crash

        # What is done already is refused: the next key was published a moment ago.
        assert _repeated(scene, words, data) == (0 if len(states) == 2 else 1), crash
        assert _states(data) == ["retired", "active", "next"], crash
        assert asyncio.run(_answers(data, scene.before)) == (200, 200, 200), crash


def test_a_rewrap_killed_anywhere_leaves_every_secret_readable_and_no_token_ended_f46(scene: Scene) -> None:
    words = ("keys", "rewrap")
    crashes = _crashes(scene, words, lost=False)
    assert {name.partition(":")[0] for name in crashes} >= {
        "master.key.written",
        "master.key.named",
        "unit.before.commit",
        "unit.after.commit",
        "master.key.replaced",
    }
    for crash in crashes:
        data = _killed(scene, words, crash)
        former = (scene.data / "secrets" / "master.key").read_text()
        assert _secrets(data) == scene.before.secrets, crash
        assert asyncio.run(_answers(data, scene.before)) == (200, 200, 200), crash

        assert _repeated(scene, words, data) == 0, crash
        assert _secrets(data) == scene.before.secrets, crash
        assert asyncio.run(_answers(data, scene.before)) == (200, 200, 200), crash
        (left,) = (data / "secrets").iterdir()
        assert left.name == "master.key"
        assert left.read_text() != former


def test_a_renewal_killed_anywhere_is_nothing_or_whole_and_ends_no_token_f46(scene: Scene) -> None:
    """The master key is lost: no registry starts before, and one does after the unit; public halves verify on."""
    words = ("keys", "renew")
    crashes = _crashes(scene, words, lost=True)
    assert {"master.key.written:1", "master.key.named:1", "unit.after.commit:1"} <= set(crashes)
    for crash in crashes:
        data = _killed(scene, words, crash, lost=True)
        if _states(data) == ["active", "next"]:
            with pytest.raises(SettingsError, match="master key"):
                asyncio.run(_answers(data, scene.before))
        else:
            assert asyncio.run(_answers(data, scene.before)) == (200, 200, 200), crash

        assert _repeated(scene, words, data) == 0, crash
        assert _states(data) == ["retired", "retired", "active", "next"], crash
        assert set(_secrets(data)) > set(scene.before.secrets), crash
        assert asyncio.run(_answers(data, scene.before)) == (200, 200, 200), crash


def test_a_revocation_killed_anywhere_is_not_done_or_done_and_the_repeated_one_holds_f46_t13(
    scene: Scene,
) -> None:
    words = ("keys", "revoke", scene.before.keys[0][0])
    crashes = _crashes(scene, words, lost=False)
    assert {"unit.before.commit:1", "unit.after.commit:1"} <= set(crashes)
    for crash in crashes:
        data = _killed(scene, words, crash)
        states = _states(data)
        assert states in (["active", "next"], ["revoked", "active", "next"]), crash
        assert _secrets(data).items() >= scene.before.secrets.items(), crash
        is_done = states[0] == "revoked"
        assert asyncio.run(_answers(data, scene.before)) == (401 if is_done else 200, 200, 200), crash

        assert _repeated(scene, words, data) == 0, crash
        assert _states(data) == ["revoked", "active", "next"], crash
        assert asyncio.run(_answers(data, scene.before)) == (401, 200, 200), crash


def test_a_first_start_killed_while_the_master_key_is_made_is_followed_by_one_that_works_f46(
    scene: Scene,
) -> None:
    for crash in ("master.key.written", "master.key.named"):
        data = scene.scratch / crash
        asyncio.run(_without_accounts(data))
        assert (
            scene.server.run("keys", "list", "--data", str(data), failpoints=crash).signal == signal.SIGKILL
        )

        assert asyncio.run(_log_in(data))[0]
        assert len(_secrets(data)) == 2


async def _without_accounts(data: Path) -> None:
    async with in_process_registry(scratch_settings(data)):
        """The schema is there, and no key."""

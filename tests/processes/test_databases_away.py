"""A database that is away, or made anew to be restored, under a running node: no process puts one in its place (F47).

That one would be served as an empty registry, with the first administrator's first password, and stand in the way of
what is to come back.
"""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Final

import httpx

from entrepot.processes.assignment import Role
from entrepot.processes.errors import ExitCode
from tests.asgi.small_images import NAME
from tests.integration.rebuilding import compacted_registry
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for
from tests.running.control_client import Account
from tests.running.entrepot import RunningEntrepot
from tests.running.with_accounts import PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer

_BOB: Final = Account("bob", PASSWORD)
_MADE: Final = ("metadata.schema.created", "admin.created")
"""What the log tells of a registry that is made."""


def _counts(registry: EntrepotWithAccounts) -> list[int]:
    return [len(registry.events(event)) for event in _MADE]


def _wait_for_refusals(registry: EntrepotWithAccounts, *roles: Role) -> None:
    """Wait until a process of each role has ended over it, and said so."""
    for role in roles:

        def look(role: Role = role) -> bool:
            said = registry.events("process.crashed", **{"process.role": role})
            return any("holds no registry: it is missing or empty" in line["error.message"] for line in said)

        wait_for(look, PATIENCE_SECONDS, registry.log_tail)


def _wait_for_ready(registry: EntrepotWithAccounts, status: int) -> None:
    wait_for(lambda: registry.get_ops("/readyz")[0] == status, PATIENCE_SECONDS, registry.log_tail)


def _status_of(registry: EntrepotWithAccounts, account: Account) -> int:
    return registry.control(account).request("GET", "/users/current").status


def test_f47_processes_that_begin_anew_make_no_database_for_one_that_is_away(tmp_path: Path) -> None:
    """On a reload the former process stays; without any the node is not ready until the database is back."""
    with EntrepotWithAccounts(tmp_path) as registry:
        registry.control().create_user(_BOB)
        former, made = registry.pid(Role.HTTP), _counts(registry)
        metadata = registry.data_directory / "metadata"
        away = metadata.rename(tmp_path / "away")

        registry.parent.send_signal(signal.SIGHUP)
        registry.wait_for_event("reload.failed")
        _wait_for_refusals(registry, Role.HTTP)
        assert registry.pid(Role.HTTP) == former

        for role in (Role.OPS, Role.BACKGROUND, Role.HTTP):
            registry.kill(role)
        registry.wait_for_event("process.respawning", 2, role=Role.HTTP)
        _wait_for_refusals(registry, Role.BACKGROUND)
        _wait_for_ready(registry, 503)
        checks = json.loads(registry.get_ops("/readyz")[1])["checks"]
        assert "holds no registry" in checks["read"]["detail"]
        assert (metadata.exists(), _counts(registry)) == (False, made)

        away.rename(metadata)
        _wait_for_ready(registry, 200)
        assert (_status_of(registry, _BOB), _counts(registry)) == (200, made)
        registry.parent.send_signal(signal.SIGHUP)
        registry.wait_for_event("reload.finished")
        assert _counts(registry) == made


def test_f47_a_database_that_was_made_anew_to_be_restored_stays_empty_under_a_node(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Clients shall come back meanwhile; then a process begins anew, and nothing is in the way of the restore."""
    url = postgres_server.create_database()
    with EntrepotWithAccounts(tmp_path, settings={"metadata": {"url": url}}) as registry:
        registry.control().create_user(_BOB)
        made, dump = _counts(registry), tmp_path / "dump.sql"
        dump.write_text(postgres_server.dump(url))
        postgres_server.empty_database(url)
        pulled = httpx.get(f"{registry.url}/v2/team/app/manifests/a", auth=(_BOB.name, _BOB.secret))

        assert (pulled.status_code, "retry-after" in pulled.headers) == (503, True)
        assert _status_of(registry, _BOB) == 503

        registry.kill(Role.HTTP)
        _wait_for_refusals(registry, Role.HTTP)
        _wait_for_ready(registry, 503)
        postgres_server.run_script(url, dump)
        _wait_for_ready(registry, 200)
        assert (_status_of(registry, _BOB), _counts(registry)) == (200, made)


def test_f47_a_start_makes_no_database_beside_the_journal_of_a_registry(tmp_path: Path) -> None:
    """It ends, and names what to do; put back, the database is served."""
    data = tmp_path / "data"
    asyncio.run(compacted_registry(data))
    metadata = data / "metadata"
    away = metadata.rename(tmp_path / "away")
    registry = RunningEntrepot(tmp_path / "node", data_directory=data)
    try:
        registry.start()

        assert registry.wait_exit() == ExitCode.SCHEMA_MISMATCH
        assert "put its database back" in registry.events("start.refused")[-1]["reason"]
        assert not metadata.exists()

        away.rename(metadata)
        registry.start()
        registry.wait_until_ready()
        assert registry.get(f"/v2/{NAME}/manifests/a")[0] == 200
    finally:
        registry.end()

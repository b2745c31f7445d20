"""An auditor takes the audit log home over the API and proves it there; nobody on the host has to help (8.1.4.3c)."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.export_format import decode_record, encode_record
from entrepot.audit.export_verification import verify_export
from entrepot.audit.sealer import Sealer
from entrepot.client.errors import EXIT_UNREACHABLE
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.client_command_line import ClientCommandLine
from tests.running.audit_material import pull_record
from tests.running.control_client import Account
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntrepotWithAccounts]:
    with EntrepotWithAccounts(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def auditor(registry: EntrepotWithAccounts, tmp_path_factory: pytest.TempPathFactory) -> ClientCommandLine:
    """Somebody who audits, and has no account on the host."""
    admin = ClientCommandLine(tmp_path_factory.mktemp("admin"), registry.host)
    admin.log_in(ADMINISTRATOR.name, ADMINISTRATOR.secret)
    for name in ("ada", "gil"):
        admin.run(f"user create {name} --email {name}@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    admin.run("role assign ada auditor")
    client = ClientCommandLine(tmp_path_factory.mktemp("auditor"), registry.host)
    client.log_in("ada", PASSWORD)
    return client


def test_an_auditor_fetches_a_signed_export_and_proves_it(
    auditor: ClientCommandLine, registry: EntrepotWithAccounts, tmp_path: Path
) -> None:
    """The key is the registry's own, and that it was fetched, and by whom, is in the next one."""
    file, again = tmp_path / "log.jsonl", tmp_path / "again.jsonl"

    assert f"bytes written to {file}" in auditor.run(f"audit fetch {file} --since 2026-01-01")
    auditor.run(f"audit fetch {again}")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run_command_line(("audit", "verify", str(file))) == 0
    kept = registry.data_directory / "audit" / "checkpoints"
    assert run_command_line(("audit", "verify", str(again), "--checkpoints", str(kept))) == 0
    acts = [json.loads(line) for line in again.read_bytes().splitlines()]
    exports = [act for act in acts if act.get("event.action") == "audit.export"]
    assert [(act["user.name"], act["http.response.status_code"]) for act in exports] == [("ada", 200)]
    assert {"user.create", "role.assign"} <= {act.get("event.action") for act in acts}


def test_a_fetched_export_that_was_shortened_is_found_without_anything_kept(
    auditor: ClientCommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    auditor.run(f"audit fetch {file}")
    header, signature, *others = file.read_bytes().splitlines(keepends=True)
    records = [line for line in others if b'"@timestamp"' in line]
    place = json.loads(records[1])["entrepot"]
    changed = json.loads(header) | {"last": 2, "last_hash": place["hash"], "signed": 0}
    opening = json.dumps(changed, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    end = b'{"last":2,"records":2,"type":"end"}\n'

    file.write_bytes(b"".join([opening, signature, *records[:2], end]))
    assert run_command_line(("audit", "verify", str(file), "--accept-unsigned")) == 1
    file.write_bytes(b"".join([opening, *records[:2], end]))
    assert run_command_line(("audit", "verify", str(file))) == 1


def test_a_fetched_export_without_the_personal_data_that_it_had_is_found(
    auditor: ClientCommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken out as an erasure would, of every record; nobody in the log was erased."""
    file = tmp_path / "log.jsonl"
    auditor.run(f"audit fetch {file}")
    lines = [_without_personal_data(line) for line in file.read_bytes().splitlines()]
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    capsys.readouterr()

    assert run_command_line(("audit", "verify", str(file), "--accept-unsigned")) == 1

    shown = capsys.readouterr().out.splitlines()
    bare = sum(b'"@timestamp"' in line for line in lines)
    assert shown[0].startswith("DISCLOSURE at record 1 (")
    assert f"{bare} of them are not accounted for by a record of an erasure" in shown


def test_an_export_that_records_go_from_while_it_is_sent_reaches_nobody_as_a_whole_one_i11(
    tmp_path: Path,
) -> None:
    """The connection breaks off in the middle of the answer, and there is no file."""
    with EntrepotWithAccounts(tmp_path / "registry") as registry:
        url = f"sqlite://{registry.data_directory}/metadata/entrepot.db"
        asyncio.run(_fill(url, 3000))
        asyncio.run(RawDatabase(url).fetch("DELETE FROM audit_records WHERE sequence = 2500"))
        client = ClientCommandLine(tmp_path / "admin", registry.host)
        client.log_in(ADMINISTRATOR.name, ADMINISTRATOR.secret)
        file = tmp_path / "log.jsonl"

        client.run(f"audit fetch {file}", code=EXIT_UNREACHABLE)
        assert _is_broken_off(registry, "1.0")
        assert _is_broken_off(registry, "1.1")

    assert not file.exists()


def _is_broken_off(registry: EntrepotWithAccounts, version: str) -> bool:
    """Tell whether the answer has no end: by a reset where nothing else says where that is, as in HTTP/1.0."""
    secret = base64.b64encode(f"{ADMINISTRATOR.name}:{ADMINISTRATOR.secret}".encode()).decode()
    received = b""
    with socket.create_connection(("127.0.0.1", registry.port), timeout=60) as connection:
        connection.sendall(
            f"GET /api/v2.0/audit-log-export HTTP/{version}\r\nHost: {registry.host}\r\n"
            f"Authorization: Basic {secret}\r\nConnection: close\r\n\r\n".encode()
        )
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            return True
    assert b" 200 " in received[:20]
    return version == "1.1" and not received.endswith(b"0\r\n\r\n")


async def _fill(url: str, count: int) -> None:
    """Have a registry that runs seal so many records more."""
    metadata = await open_metadata(url, 1, 5.0)
    try:
        await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(count)]))
        await Sealer(metadata).run()
    finally:
        await metadata.aclose()


def _without_personal_data(line: bytes) -> bytes:
    record = decode_record(line)
    return line if record is None else encode_record(msgspec.structs.replace(record, disclosure=None))


def test_who_does_not_audit_fetches_nothing(
    auditor: ClientCommandLine, registry: EntrepotWithAccounts, tmp_path: Path
) -> None:
    """Nor is anything left of a fetch that was refused; times without acts are the signed word that there were none."""
    guest = ClientCommandLine(tmp_path / "guest", registry.host)
    guest.log_in("gil", PASSWORD)
    file = tmp_path / "log.jsonl"

    guest.run(f"audit fetch {file}", code=1)
    auditor.run(f"audit fetch {file} --since 2026-01-02 --until 2026-01-01", code=2)
    auditor.run(f"audit fetch {file} --since yesterday", code=2)
    ada = registry.control(Account("ada", PASSWORD))
    for query in ("since=2026-01-02&until=2026-01-01", "since=yesterday"):
        assert ada.request("GET", f"/audit-log-export?{query}").status == 422
    assert sorted(path.name for path in tmp_path.iterdir()) == ["guest"]
    auditor.run(f"audit fetch {file} --until 2020-01-01")
    with file.open("rb") as lines:
        verdict = verify_export(lines, [], [])
    assert (verdict.records, verdict.faults) == (0, ())
    file.write_bytes(b"mine")
    auditor.run(f"audit fetch {file}", code=2)
    assert file.read_bytes() == b"mine"

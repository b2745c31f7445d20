"""Makes a frozen data directory with a version of the product: `scripts/freeze-data-directory NAME [COMMIT]`.

A registry of that version runs for real, gets pushes, and is killed: on SQLite with its last transactions in the
write-ahead log only, on PostgreSQL with a dump beside the files. What is left is packed, with what must be found in it.
"""

from __future__ import annotations

import lzma
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from entrepot.processes.assignment import Role
from tests.blackbox.material.images import digest_of
from tests.drivers.postgres_server import PostgresServer
from tests.running.control_client import ControlClient
from tests.running.with_accounts import ADMINISTRATOR
from tests.upgrade.accounts_content import make_accounts
from tests.upgrade.content import APPLICATION, Expectations, Upload, bytes_of, push_everything
from tests.upgrade.freezing_accounts import (
    SETTINGS_WITH_ACCOUNTS,
    leave_notes,
    look_at_the_log,
    wait_until_signed,
)
from tests.upgrade.frozen_data import FROZEN, STATEMENTS
from tests.upgrade.old_program import ROOT, OldCode, OldEntrepot, check_out, knows_accounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.running.entrepot import RunningEntrepot

__all__ = ["main"]

_MOST_BYTES: Final = 200_000
_STRAY: Final = bytes_of(8, 500)
_NOT_PACKED: Final = re.compile(r"run(/.*)?|metadata/.*(-shm|\.turnstile|\.writer)")
"""What a running registry makes anew: locks, metrics, the index of the write-ahead log."""
_NOT_UNDERSTOOD_EVERYWHERE: Final = re.compile(
    r"^(\\(un)?restrict .*|SET transaction_timeout = 0;)\n", re.MULTILINE
)
"""Lines of pg_dump that only the newest servers and clients know."""
_STATEMENTS: Final = """
import json
from entrepot.metadata.sql.catalogue import STATEMENTS
from entrepot.metadata.sql.schema import load_migrations
from entrepot.metadata.sql.statements import render
statements = {d: {s.name: {"sql": render(s, d).sql, "parameters": list(render(s, d).parameters)} for s in STATEMENTS}
              for d in ("sqlite", "postgresql")}
print(json.dumps({"schema": load_migrations()[-1].version, "statements": statements}, indent=1, sort_keys=True))
"""


def main(name: str, commit: str = "HEAD") -> None:
    """Freeze `commit` as tests/upgrade/frozen/`name`."""
    code = OldCode.of_commit(commit)
    resolved = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", commit], capture_output=True, text=True, check=True
    ).stdout.strip()
    target = FROZEN / name
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="entrepot-freeze-") as scratch:
        source = check_out(code, Path(scratch) / "program")
        listed = subprocess.run(
            [sys.executable, "-P", "-c", _STATEMENTS],
            env={"PYTHONPATH": str(source)},
            capture_output=True,
            check=True,
        )
        (target / STATEMENTS).write_bytes(lzma.compress(listed.stdout, preset=9))
        for engine in ("sqlite", "postgresql"):
            directory = Path(scratch) / engine
            directory.mkdir()
            expectations = Expectations(resolved, code.source, code.lock, engine)
            _freeze(expectations, source, directory, target)
    for path in sorted(target.iterdir()):
        assert path.stat().st_size < _MOST_BYTES, f"{path} is too large to be kept for ever"
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")  # noqa: T201 - tells the person who called it


def _freeze(expectations: Expectations, source: Path, directory: Path, target: Path) -> None:
    engine = expectations.engine
    settings: dict[str, dict[str, Any]] = {"storage": {"min_free_bytes": 0}}
    environment: dict[str, str] = {}
    with_accounts = knows_accounts(source)
    if with_accounts:
        settings |= SETTINGS_WITH_ACCOUNTS
        environment = {"ENTREPOT_ADMIN_PASSWORD": ADMINISTRATOR.secret}
    with tempfile.TemporaryDirectory(prefix="entrepot-pg-") as server_directory:
        postgres = PostgresServer.of_this_session(Path(server_directory)) if engine == "postgresql" else None
        if postgres is not None:
            postgres.start()
            settings["metadata"] = {"url": postgres.create_database()}
        try:
            with OldEntrepot(directory, source, settings=settings, environment=environment) as registry:
                if with_accounts:
                    control = ControlClient(registry.host, ADMINISTRATOR)
                    expectations.accounts = make_accounts(control, registry.url)
                push_everything(registry.host, expectations, directory / "scratch")
                _leave_traces_of_a_crash(registry, expectations)
                if postgres is not None:
                    dump = postgres.dump(settings["metadata"]["url"])
                    readable = _NOT_UNDERSTOOD_EVERYWHERE.sub("", dump)
                    (registry.data_directory / "dump.sql").write_text(readable)
                else:
                    _check_the_log_matters(registry.data_directory, expectations)
                (target / f"{engine}.tar.xz").write_bytes(_pack(registry.data_directory))
        finally:
            if postgres is not None:
                postgres.stop()
    encoded = msgspec.json.encode(expectations, order="sorted")
    (target / f"{engine}.json").write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


def _leave_traces_of_a_crash(registry: RunningEntrepot, expectations: Expectations) -> None:
    """Hold the log's checkpoints, write once more, break off in the middle of a PATCH, add an orphan."""
    url = f"sqlite://{_database(registry.data_directory)}"
    if expectations.engine == "postgresql":
        url = registry.settings["metadata"]["url"]
    accounts = expectations.accounts
    if accounts is not None:
        wait_until_signed(url)
    time.sleep(2.5)  # a checkpoint of the write-ahead log has come: what was pushed so far is in the file
    os.kill(registry.pid(Role.BACKGROUND), signal.SIGSTOP)
    with httpx.Client(base_url=registry.url, timeout=60, auth=expectations.auth) as client:
        manifest = client.get(f"/v2/{APPLICATION}/manifests/v1")
        headers = {"Content-Type": manifest.headers["content-type"]}
        path = f"/v2/{APPLICATION}/manifests/last"
        assert client.put(path, content=manifest.content, headers=headers).status_code == 201
        expectations.tags[APPLICATION]["last"] = expectations.tags[APPLICATION]["v1"]
        if accounts is not None:
            leave_notes(client, accounts)
            look_at_the_log(url, accounts)
        _break_off_a_patch(registry, client, expectations)
    expectations.orphans.append(_put_an_orphan(registry.data_directory / "storage"))
    for pid in reversed(registry.processes()):
        os.kill(pid, signal.SIGKILL)
    registry.parent.wait(10)


def _break_off_a_patch(registry: RunningEntrepot, client: httpx.Client, expectations: Expectations) -> None:
    """Leave a session leased by a request that dies with the process."""
    location = client.post(f"/v2/{APPLICATION}/blobs/uploads/").headers["location"]
    content = bytes_of(9, 6000)
    with socket.create_connection(("127.0.0.1", registry.port), 10) as connection:
        lines = [f"PATCH {location} HTTP/1.1", f"Host: {registry.host}", f"Content-Length: {len(content)}"]
        if expectations.accounts is not None:
            lines.append(f"Authorization: {expectations.accounts.administrator.basic}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content[:2000])
        time.sleep(1)
        expectations.uploads.append(Upload(APPLICATION, location, 9, len(content), 0))
        # The connection closes with the function; by then nobody must be there to see it.
        os.kill(registry.pid(Role.HTTP), signal.SIGSTOP)


def _put_an_orphan(storage: Path) -> str:
    """Write a blob as a crash leaves it between its rename and its row."""
    encoded = digest_of(_STRAY).removeprefix("sha256:")
    key = f"blobs/sha256/{encoded[:2]}/{encoded}/{'0' * 32}"
    path = storage / key
    path.parent.mkdir(parents=True)
    path.write_bytes(_STRAY)
    return key


def _check_the_log_matters(data: Path, expectations: Expectations) -> None:
    """The database file alone lacks the last tag: it is in the write-ahead log only."""
    with tempfile.TemporaryDirectory() as alone:
        copy = Path(alone) / "copy.db"
        copy.write_bytes(_database(data).read_bytes())
        with closing(sqlite3.connect(copy)) as connection:
            tags = {name for (name,) in connection.execute("SELECT name FROM tags")}
    assert "last" in expectations.tags[APPLICATION]
    assert "last" not in tags
    assert "v1" in tags


def _database(data: Path) -> Path:
    return data / "metadata" / "entrepot.db"


def _pack(data: Path) -> bytes:
    """Return the directory as a tar archive, the same bytes for the same content."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in _packed(data):
            entry = tarfile.TarInfo(path.relative_to(data).as_posix())
            entry.mode = _mode(path)
            if path.is_dir():
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                content = path.read_bytes()
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
    return lzma.compress(buffer.getvalue(), preset=9)


def _mode(path: Path) -> int:
    """Return whether others may read it, and nothing else that differs between machines."""
    is_private = path.stat().st_mode & 0o077 == 0
    if path.is_dir():
        return 0o700 if is_private else 0o755
    return 0o600 if is_private else 0o644


def _packed(data: Path) -> Iterable[Path]:
    found = sorted(data.rglob("*"))
    return (path for path in found if not _NOT_PACKED.fullmatch(path.relative_to(data).as_posix()))


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: scripts/freeze-data-directory NAME [COMMIT]")
    main(*sys.argv[1:])

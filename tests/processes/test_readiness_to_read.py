"""A node that can't serve pulls tells balancers so, for as long as that lasts, and comes back by itself.

That is F28, F45 and F47.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from entrepot.processes.assignment import Role
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put
from tests.integration.rebuilding import compact
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drivers.s3_server import S3Server

_SECONDS = 40.0


class _Link:
    """A way to another server that can be cut: connections are carried on, or refused."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break off what is open, and carry nothing any more."""
        self._cut.set()
        for end in self._open:
            end.close()

    def mend(self) -> None:
        """Carry connections again."""
        self._cut.clear()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self._cut.is_set():
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._open += [client, server]
            if self._cut.is_set():  # meanwhile
                client.close()
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        source.close()
        target.close()


def _checks(registry: RunningEntrepot, path: str) -> tuple[int, dict[str, Any]]:
    status, body = registry.get_ops(path)
    return status, json.loads(body)["checks"]


def _wait_for(registry: RunningEntrepot, status: int, *paths: str) -> None:
    """Wait until the paths answer with the status, those of reading where none is named; each remembers its answer."""
    asked = paths or ("/readyz/read", "/readyz")

    def look() -> bool:
        return all(registry.get_ops(path)[0] == status for path in asked)

    wait_for(look, _SECONDS, lambda: f"not {status}: {_checks(registry, '/readyz')}\n{registry.log_tail()}")


def _block_spool(data: Path) -> Path:
    """Put a file where the directory of the audit log's files belongs."""
    spool = data / "audit" / "spool"
    spool.parent.mkdir(parents=True, mode=0o700)
    data.chmod(0o700)
    spool.write_bytes(b"")
    return spool


async def _push_to(data: Path, root: Path) -> None:
    """Make a registry with an image, whose journal is written."""
    async with in_process_registry(scratch_settings(data, storage__root=str(root))) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", image())
        await compact(registry.stores)


def _status(begin: str) -> int:
    """Return the status of a push that begins, 0 where no process answers."""
    try:
        return httpx.post(begin).status_code
    except httpx.TransportError:
        return 0


def _is_public(registry: RunningEntrepot) -> bool:
    status, body = registry.get_ops("/readyz")
    return status != 0 and json.loads(body)["checks"]["public"]["ok"]


def test_f28_a_node_without_its_store_is_not_ready_until_it_has_it_again(
    tmp_path: Path, s3_server: S3Server
) -> None:
    url = httpx.URL(s3_server.endpoint_url)
    assert url.port is not None
    with contextlib.closing(_Link(url.host, url.port)) as link:
        _require_readiness_with_the_store(link, tmp_path, s3_server)


def _require_readiness_with_the_store(link: _Link, tmp_path: Path, s3_server: S3Server) -> None:
    store = {
        "endpoint": f"http://127.0.0.1:{link.port}",
        "bucket": s3_server.bucket,
        "prefix": "readiness/",
        "access_key": s3_server.access_key_id,
        "secret_key": s3_server.secret_access_key,
    }
    with RunningEntrepot(tmp_path, settings={"storage": {"driver": "s3"}, "storage.s3": store}) as registry:
        registry.wait_until_ready()

        link.cut()
        _wait_for(registry, 503)
        assert not _checks(registry, "/readyz")[1]["read"]["ok"]

        link.mend()
        _wait_for(registry, 200)


@pytest.mark.parametrize("left", ["nothing", "an empty mount point"])
def test_f47_a_node_whose_volume_is_gone_is_not_ready_until_it_is_back(tmp_path: Path, left: str) -> None:
    """The answers are of a server: that nothing is there is none where it lies on this machine."""
    root, data = tmp_path / "volume", tmp_path / "data"
    asyncio.run(_push_to(data, root))
    settings = {"storage": {"root": str(root)}}
    with RunningEntrepot(tmp_path / "node", settings=settings, data_directory=data) as registry:
        registry.wait_until_ready()
        registry.wait_for_event("sweep.finished")  # the first of which makes directories that it needs
        away = root.rename(tmp_path / "away")
        if left != "nothing":
            root.mkdir()
        _wait_for(registry, 503)
        for check in ("read", "write"):
            status, checks = _checks(registry, f"/readyz/{check}")
            assert (status, "is its volume mounted?" in checks[check]["detail"]) == (503, True)

        if left != "nothing":
            root.rmdir()
        away.rename(root)
        _wait_for(registry, 200, "/readyz/read", "/readyz", "/readyz/write")


def test_f47_what_one_process_of_a_node_finds_the_others_go_by(tmp_path: Path) -> None:
    """The worker, started anew beside a lost journal, asks the storage first; nobody else would for a while."""
    root, data = tmp_path / "volume", tmp_path / "data"
    asyncio.run(_push_to(data, root))
    settings = {"storage": {"root": str(root)}}
    with RunningEntrepot(tmp_path / "node", settings=settings, data_directory=data) as registry:
        registry.wait_until_ready()
        registry.wait_for_event("serve.ready")
        _wait_for(registry, 200, "/readyz/write")
        away = (root / "journal").rename(tmp_path / "away")
        registry.kill(Role.BACKGROUND)
        registry.wait_for_event("database.mismatch")

        _wait_for(registry, 503, "/readyz/write")
        assert "its log says why" in _checks(registry, "/readyz/write")[1]["write"]["detail"]
        begin = f"{registry.url}/v2/team/app/blobs/uploads/"
        wait_for(lambda: httpx.post(begin).status_code == 405, _SECONDS, registry.log_tail)

        away.rename(root / "journal")
        wait_for(lambda: httpx.post(begin).status_code == 202, _SECONDS, registry.log_tail)
        _wait_for(registry, 200, "/readyz/write")


def test_f47_whatever_starts_beside_an_empty_mount_point_leaves_it_empty(tmp_path: Path) -> None:
    """A process that began with the volume would push into it, once it had the directories of a storage."""
    root, data = tmp_path / "volume", tmp_path / "data"
    asyncio.run(_push_to(data, root))
    settings = {"storage": {"root": str(root)}}
    with RunningEntrepot(tmp_path / "node", settings=settings, data_directory=data) as registry:
        registry.wait_until_ready()
        registry.wait_for_event("serve.ready")
        away = root.rename(tmp_path / "away")
        root.mkdir()
        former = {registry.kill(role) for role in (Role.BACKGROUND, Role.HTTP)}

        def are_others() -> bool:
            present = {pid for role in (Role.BACKGROUND, Role.HTTP) for pid in registry.pids(role)}
            return len(present - former) == len(former)

        wait_for(are_others, _SECONDS, registry.log_tail)
        begin = f"{registry.url}/v2/team/app/blobs/uploads/"
        wait_for(lambda: _status(begin) == 405, _SECONDS, registry.log_tail)
        _wait_for(registry, 503, "/readyz/read", "/readyz/write")

        root.rmdir()  # which only an empty one is
        away.rename(root)
        wait_for(lambda: _status(begin) == 202, _SECONDS, registry.log_tail)
        _wait_for(registry, 200, "/readyz/read", "/readyz/write")


def test_f47_a_node_with_another_storage_is_left_out_by_balancers_and_says_why(tmp_path: Path) -> None:
    """It serves what it can to who asks it; it is the balancer that does not, for the sake of the other nodes."""
    right, data = tmp_path / "right", tmp_path / "data"
    asyncio.run(_push_to(data, right))
    (tmp_path / "wrong" / "blobs").mkdir(parents=True)
    wrong = {"storage": {"root": str(tmp_path / "wrong")}}
    registry = RunningEntrepot(tmp_path / "node", settings=wrong, data_directory=data)
    registry.start()
    try:
        wait_for(lambda: _is_public(registry), _SECONDS, registry.log_tail)
        status, checks = _checks(registry, "/readyz")

        assert (status, checks["public"]["ok"], checks["read"]["ok"]) == (503, True, False)
        assert "lacks fact 1, the first that this database has written there" in checks["read"]["detail"]
        assert "put the right one in place (storage.root" in checks["read"]["detail"]
        assert httpx.get(f"{registry.url}/v2/").status_code == 200
        assert httpx.post(f"{registry.url}/v2/team/app/blobs/uploads/").status_code == 405
        assert registry.get_ops("/healthz")[0] == 200
    finally:
        registry.end()


def test_f45_half_full_processes_that_take_turns_have_room(tmp_path: Path) -> None:
    """While a process that is replaced ends its last upload, there are two: what each may keep is for itself."""
    data = tmp_path / "data"
    _block_spool(data)
    settings = {"audit_log": {"buffer_records": 3}}
    with RunningEntrepot(tmp_path, settings=settings, data_directory=data) as registry:
        registry.wait_until_ready()
        former = registry.pid(Role.HTTP)
        location = httpx.post(f"{registry.url}/v2/team/app/blobs/uploads/").headers["location"]
        with socket.create_connection(("127.0.0.1", registry.port), timeout=_SECONDS) as upload:
            head = f"PATCH {location} HTTP/1.1\r\nHost: {registry.host}\r\nContent-Length: 2\r\n\r\n"
            upload.sendall(head.encode() + b"x")
            before = [httpx.get(f"{registry.url}/v2/_catalog").status_code for _ in range(2)]
            registry.parent.send_signal(signal.SIGHUP)
            registry.wait_for_event("reload.finished")
            after = [httpx.get(f"{registry.url}/v2/_catalog").status_code for _ in range(2)]
            assert (before, after, former in registry.pids(Role.HTTP)) == ([200, 200], [200, 200], True)
            wait_for(
                lambda: b"\nregistry_audit_buffer_records 4.0\n" in registry.get_ops("/metrics")[1],
                _SECONDS,
                registry.log_tail,
            )
            assert registry.get_ops("/readyz/read")[0] == 200

            assert httpx.get(f"{registry.url}/v2/_catalog").status_code == 200
            _wait_for(registry, 503)


def test_f45_a_node_that_can_put_no_pull_on_record_is_not_ready_until_it_can(tmp_path: Path) -> None:
    """A file stands where the directory of the audit log's files belongs; three records fit into memory."""
    spool = _block_spool(tmp_path / "data")
    settings = {"audit_log": {"buffer_records": 3}}
    with RunningEntrepot(tmp_path, settings=settings, data_directory=tmp_path / "data") as registry:
        registry.wait_until_ready()
        statuses = [httpx.get(f"{registry.url}/v2/_catalog").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 503, 503]

        _wait_for(registry, 503)
        status, checks = _checks(registry, "/readyz/read")
        assert (status, "make room in the data directory" in checks["read"]["detail"]) == (503, True)

        spool.unlink()
        _wait_for(registry, 200)
        assert httpx.get(f"{registry.url}/v2/_catalog").status_code == 200

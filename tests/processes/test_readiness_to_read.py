"""A node that can't serve pulls tells balancers so, for as long as that lasts, and comes back by itself (F28, F45)."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx

from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drivers.s3_server import S3Server

_SECONDS = 20.0


class _Link:
    """A way to another server that can be cut: connections are carried on, or refused."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break off what is open, and carry nothing any more."""
        self._is_cut = True
        for end in self._open:
            end.close()

    def mend(self) -> None:
        """Carry connections again."""
        self._is_cut = False

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
            if self._is_cut:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._open += [client, server]
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


def _wait_for(registry: RunningEntrepot, status: int) -> None:
    """Wait until both paths answer with the status."""

    def look() -> bool:
        return all(registry.get_ops(path)[0] == status for path in ("/readyz/read", "/readyz"))

    wait_for(look, _SECONDS, lambda: f"not {status}: {_checks(registry, '/readyz')}\n{registry.log_tail()}")


def test_f28_a_node_without_its_store_is_not_ready_until_it_has_it_again(
    tmp_path: Path, s3_server: S3Server
) -> None:
    url = httpx.URL(s3_server.endpoint_url)
    assert url.port is not None
    link = _Link(url.host, url.port)
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
    link.close()


def test_f45_a_node_that_can_put_no_pull_on_record_is_not_ready_until_it_can(tmp_path: Path) -> None:
    """A file stands where the directory of the audit log's files belongs; three records fit into memory."""
    spool = tmp_path / "data" / "audit" / "spool"
    spool.parent.mkdir(parents=True, mode=0o700)
    spool.parent.parent.chmod(0o700)
    spool.write_bytes(b"")
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

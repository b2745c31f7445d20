"""A real S3 store for the whole test session: SeaweedFS on free ports, started by the first test that asks for it.

Every port and socket is its own, so two sessions run side by side. Tests keep out of each other's way by key prefixes,
not by buckets: each bucket would cost the server several volume files.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from botocore import session as sdk
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["S3Server", "running_s3_server", "s3_server"]

_START_SECONDS: Final = 60
_START_ATTEMPTS: Final = 3
_ACCESS_KEY: Final = "TESTACCESS"
_ADMIN_ACCESS_KEY: Final = "ADMINACCESS"
_SECRET_KEY: Final = "the-secret-of-a-throw-away-server"
_PORT_FLAGS: Final = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the store listens, and one bucket in it."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    bucket: str
    process_id: int


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Start SeaweedFS once; stop it at the end of the session."""
    with running_s3_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@contextmanager
def running_s3_server(directory: Path) -> Iterator[S3Server]:
    """Run SeaweedFS below `directory`, which lies on the medium to be used."""
    with ExitStack() as resources:
        words = ""
        for attempt in range(_START_ATTEMPTS):
            folder = directory / str(attempt)
            folder.mkdir()
            ports = {flag: find_free_port() for flag in _PORT_FLAGS}
            process = resources.enter_context(_running(folder, ports))
            server = S3Server(
                f"http://127.0.0.1:{ports['s3.port']}",
                _ACCESS_KEY,
                _SECRET_KEY,
                f"test-{secrets.token_hex(4)}",
                process.pid,
            )
            if _create_bucket(server, process):
                yield server
                return
            words = (folder / "log").read_text(errors="replace")[-2000:]
        pytest.fail(f"SeaweedFS does not start: {words}")


class _running:  # noqa: N801  # reads as the state it stands for
    """The server process for the length of a `with` block."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._ports = ports
        data = folder / "data"
        data.mkdir()
        identities = folder / "s3.json"
        identities.write_text(json.dumps(_identities()))
        command = [
            str(Path(sys.executable).with_name("weed")),
            "server",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.volumeSizeLimitMB=512",
            "-master.volumePreallocate=false",
            "-volume.max=32",
            "-s3",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={identities}",
            f"-filer.localSocket={folder / 'filer.sock'}",
            f"-s3.localSocket={folder / 's3.sock'}",
            *(f"-{flag}={port}" for flag, port in ports.items()),
        ]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # nobody needs the data, and an orderly end takes ten seconds
        self._process.wait()
        for flag, port in self._ports.items():
            name = flag.partition(".")[0]
            for left in (f"seaweedfs-{name}-grpc-{port}.sock", f"seaweedfs-{name}-{port}.sock"):
                Path("/tmp", left).unlink(missing_ok=True)  # noqa: S108  # the server names these sockets itself


def _identities() -> dict[str, object]:
    """Return a user for the tests and an administrator, for whom the server would create missing buckets by itself."""
    user = {"accessKey": _ACCESS_KEY, "secretKey": _SECRET_KEY}
    administrator = {"accessKey": _ADMIN_ACCESS_KEY, "secretKey": _SECRET_KEY}
    actions = ["Read", "List", "Tagging", "Write"]
    return {
        "identities": [
            {"name": "test", "credentials": [user], "actions": actions},
            {"name": "administrator", "credentials": [administrator], "actions": ["Admin", *actions]},
        ]
    }


def _create_bucket(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Create the bucket as soon as the server answers; false when the server ends or never answers."""
    client = (
        cast("Any", sdk)
        .get_session()
        .create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=server.endpoint_url,
            aws_access_key_id=_ADMIN_ACCESS_KEY,
            aws_secret_access_key=_SECRET_KEY,
            config=Config(connect_timeout=1, read_timeout=10, retries={"total_max_attempts": 1}),
        )
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(BotoCoreError, ClientError):
                client.create_bucket(Bucket=server.bucket)
                client.put_object(Bucket=server.bucket, Key="ready", Body=b"")
                return True
            time.sleep(0.2)
        return False
    finally:
        client.close()

"""Brings the material into a server over its public interface, and checks by sample that it gives it back unchanged."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from bench.material import BLOB_REPOSITORY, MANIFEST_REPOSITORY, MANIFEST_TYPE, digest_of
from bench.servers import connect

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.material import Material
    from bench.servers import Server

__all__ = ["Loaded", "PushError", "RegistryConnection", "lay_down_files", "load_registry", "verify_registry"]

_TIMEOUT_SECONDS: Final = 120
_LOADERS: Final = 8
_BATCH: Final = 64
_SAMPLE_EVERY: Final = 97
_READ_BYTES: Final = 1024 * 1024

In = TypeVar("In")
Out = TypeVar("Out")


class PushError(Exception):
    """A server refused something or gave back something else: there is nothing to compare then."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What lies in every server, and how large the body of a manifest is at least."""

    small_digests: tuple[str, ...]
    large_digest: str
    smallest_manifest_bytes: int


@dataclass(slots=True)
class RegistryConnection:
    """A connection that is kept open, for one thread."""

    server: Server
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = connect(self.server.port, _TIMEOUT_SECONDS, is_encrypted=self.server.is_encrypted)

    def push_blob(self, repository: str, content: bytes) -> str:
        """Upload a blob with POST and PUT; return its digest."""
        digest = digest_of(content)
        location = self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/", b"", {})
        parts = urlsplit(location)
        query = "&".join(filter(None, (parts.query, f"digest={digest}")))
        self._expect(
            201, "PUT", f"{parts.path}?{query}", content, {"Content-Type": "application/octet-stream"}
        )
        return digest

    def push_manifest(self, repository: str, reference: str, body: bytes) -> None:
        """Put a manifest under a tag."""
        target = f"/v2/{repository}/manifests/{reference}"
        self._expect(201, "PUT", target, body, {"Content-Type": MANIFEST_TYPE})

    def read_digest(self, target: str) -> str:
        """Return the digest of what a path gives, hashed here."""
        self._connection.request("GET", target, headers={"Accept": MANIFEST_TYPE, **self._credentials()})
        response = self._connection.getresponse()
        hasher = hashlib.sha256()
        while chunk := response.read(_READ_BYTES):
            hasher.update(chunk)
        if response.status != 200:
            raise PushError(f"GET {target} of {self.server.name}: {response.status}")
        return f"sha256:{hasher.hexdigest()}"

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _credentials(self) -> dict[str, str]:
        values = self.server.clients.authorizations()
        return {"Authorization": values[0]} if values else {}

    def _expect(self, status: int, method: str, target: str, body: bytes, headers: dict[str, str]) -> str:
        self._connection.request(method, target, body, {**headers, **self._credentials()})
        response = self._connection.getresponse()
        text = response.read()
        if response.status != status:
            raise PushError(f"{method} {target} of {self.server.name}: {response.status} {text[:500]!r}")
        return response.getheader("Location") or ""


def load_registry(server: Server, material: Material) -> Loaded:
    """Push everything over several connections; return what a client needs to ask for it."""
    with contextlib.closing(RegistryConnection(server)) as connection:
        for blob in material.manifest_blobs():
            connection.push_blob(MANIFEST_REPOSITORY, blob)
        large_digest = connection.push_blob(BLOB_REPOSITORY, material.large_blob())

    def push_blob(connection: RegistryConnection, blob: bytes) -> str:
        return connection.push_blob(BLOB_REPOSITORY, blob)

    def push_manifest(connection: RegistryConnection, entry: tuple[str, bytes]) -> int:
        connection.push_manifest(MANIFEST_REPOSITORY, *entry)
        return len(entry[1])

    return Loaded(
        small_digests=tuple(_spread(server, push_blob, material.small_blobs())),
        large_digest=large_digest,
        smallest_manifest_bytes=min(_spread(server, push_manifest, material.manifests())),
    )


def _spread(
    server: Server, push: Callable[[RegistryConnection, In], Out], entries: Iterator[In]
) -> Iterator[Out]:
    """Push over several connections at once; results come in the order of the entries."""
    local = threading.local()
    opened: list[RegistryConnection] = []

    def push_one(entry: In) -> Out:
        if not hasattr(local, "connection"):
            local.connection = RegistryConnection(server)
            opened.append(local.connection)
        return push(local.connection, entry)

    with ThreadPoolExecutor(_LOADERS) as pool:
        while batch := list(itertools.islice(entries, _BATCH)):
            yield from pool.map(push_one, batch)
    for connection in opened:
        connection.close()


def verify_registry(server: Server, material: Material, loaded: Loaded) -> None:
    """Read the large blob and every 97th manifest and small blob, and compare.

    Raises:
        PushError: something is absent or differs.
    """
    expected = {f"/v2/{BLOB_REPOSITORY}/blobs/{loaded.large_digest}": loaded.large_digest}
    for digest in loaded.small_digests[::_SAMPLE_EVERY]:
        expected[f"/v2/{BLOB_REPOSITORY}/blobs/{digest}"] = digest
    for tag, body in itertools.islice(material.manifests(), 0, None, _SAMPLE_EVERY):
        expected[f"/v2/{MANIFEST_REPOSITORY}/manifests/{tag}"] = digest_of(body)
    with contextlib.closing(RegistryConnection(server)) as connection:
        for target, digest in expected.items():
            actual = connection.read_digest(target)
            if actual != digest:
                raise PushError(f"{target} of {server.name} is {actual}")


def lay_down_files(directory: Path, material: Material) -> None:
    """Write the blobs as files that a web server can send: each is named by its digest."""
    for content in itertools.chain([material.large_blob()], material.small_blobs()):
        (directory / digest_of(content)).write_bytes(content)

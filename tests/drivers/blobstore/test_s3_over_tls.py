"""What the S3 driver does with connections that speak TLS, which end otherwise than plain ones (I12)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final, cast

from entrepot.blobstore.s3 import S3BlobStore, S3Options
from tests.drivers.blobstore.staging import MIB
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    import pytest

_SIZE: Final = 1 << 40
"""Of the only object, which nobody reads to its end."""
_SOON_SECONDS: Final = 10.0
"""A goodbye of TLS may take half a minute."""


class _Store(threading.Thread):
    """Sends one endless object to the first who asks, and listens to nobody meanwhile, as many a store."""

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(PATIENCE_SECONDS)
        self.port: int = self._listening.getsockname()[1]
        self.sent_bytes = 0
        self.was_left = threading.Event()
        self.is_over = False

    def run(self) -> None:
        with self._listening, self._listening.accept()[0] as raw:
            raw.settimeout(PATIENCE_SECONDS)
            with contextlib.suppress(OSError), self._context.wrap_socket(raw, server_side=True) as client:
                while not client.recv(65536).endswith(b"\r\n\r\n"):
                    pass
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _SIZE)
                while not self.is_over:
                    client.sendall(bytes(MIB))
                    self.sent_bytes += MIB
        self.was_left.set()


@contextmanager
def _serving(certificate: Path, key: Path) -> Iterator[_Store]:
    store = _Store(certificate, key)
    store.start()
    try:
        yield store
    finally:
        store.is_over = True
        store.join()


async def test_i12_the_rest_of_an_object_that_nobody_wants_any_more_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client leaves in the middle of a pull: what was left of a layer came in all the same, for half a minute."""
    certificate, key = make_certificate(tmp_path, "localhost")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with _serving(certificate, key) as remote:
        address = f"https://localhost:{remote.port}"
        bucket = S3BlobStore(S3Options("any", address, access_key_id="any", secret_access_key="any"))
        async with aclosing(cast("AsyncGenerator[bytes]", bucket.read("blobs/large"))) as chunks:
            await anext(chunks)
        before = remote.sent_bytes
        assert await asyncio.to_thread(remote.was_left.wait, _SOON_SECONDS)
        assert remote.sent_bytes - before < 16 * MIB
        await bucket.aclose()

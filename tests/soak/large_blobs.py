"""Bodies so large that the registry has threads read them: pushed, broken off, gone on with, cancelled and refused."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.blackbox.material.images import digest_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Mapping

    from tests.soak.connection import Answer, Connection

__all__ = ["LargeBlobs"]

_MIB: Final = 1 << 20
_BLOBS: Final = 3
"""No other content is ever finished: bytes of deleted blobs stay on the disk, and these are the same ones each time."""
_BLOB_BYTES: Final = (3 * _MIB, 8 * _MIB)
_LEAST_SENT_BYTES: Final = 3 * _MIB // 2
"""Before a client leaves; a thread begins to read when a step of 1 MiB is full and 64 KiB more wait."""
_CHUNK_BYTES: Final = (1, 700, 4096, 32 * 1024, 300 * 1024, 2 * _MIB)
_CHUNKED_SHARE: Final = 0.5
_RESET_SHARE: Final = 0.5
_WATCHED_SHARE: Final = 0.25
"""While somebody watches, the registry catches up: of most clients that leave it is to hear while it is reading."""
_PATIENCE_SECONDS: Final = 10.0
"""How long the registry may take to notice that a client has gone."""
_OCTETS: Final = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class _BrokenOff:
    """An upload whose client left in the middle of the body."""

    location: str
    content: bytes = field(repr=False)
    sent_bytes: int
    by_reset: bool


class LargeBlobs:
    """The large blobs of one client. Between two actions none of them is in a repository.

    Attributes:
        watched: how many bodies were watched just before their client left.
        read_by_threads: for how many of these the registry held the second descriptor that a reading thread has.
    """

    def __init__(
        self, connection: Connection, chance: random.Random, is_read_by_thread: Callable[[int], bool]
    ) -> None:
        """Send over `connection`; `is_read_by_thread` tells it of the client's end of a connection, by its port."""
        self._connection = connection
        self._chance = chance
        self._is_read_by_thread = is_read_by_thread
        self._contents = [chance.randbytes(chance.randrange(*_BLOB_BYTES)) for _ in range(_BLOBS)]
        self.watched = 0
        self.read_by_threads = 0

    def push(self, repository: str) -> None:
        """Push a blob in one of the ways clients have; every byte comes back; delete it."""
        content = self._chance.choice(self._contents)
        digest = digest_of(content)
        way = self._chance.randrange(3)
        if way == 0:
            target = f"/v2/{repository}/blobs/uploads/?digest={digest}"
            self._send("large.at_once", "POST", target, content, expect={201})
        elif way == 1:
            self._send(
                "large.put", "PUT", f"{self._begin(repository)}?digest={digest}", content, expect={201}
            )
        else:
            location = self._begin(repository)
            answer = self._send("large.append", "PATCH", location, content, expect={202})
            self._finish(answer.headers["location"], content)
        self._pull_and_delete(repository, content)

    def leave_and_go_on(self, repository: str) -> None:
        """Leave in the middle, and send the rest from where the upload stands: together it is the whole blob."""
        left = self._leave(repository)
        start = self._where_it_stands(left)
        rest = left.content[start:]
        answer = self._send("large.append", "PATCH", left.location, rest, expect={202}, start=start)
        self._finish(answer.headers["location"], left.content)
        self._pull_and_delete(repository, left.content)

    def leave_and_cancel(self, repository: str) -> None:
        """Leave in the middle, and cancel the upload."""
        left = self._leave(repository)
        self._where_it_stands(left)
        self._cancel(left.location)

    def be_refused(self, repository: str) -> None:
        """Send a large body where the upload does not stand, and one to an upload that is over: nothing is taken."""
        content = self._chance.choice(self._contents)
        location = self._begin(repository)
        start = self._chance.randrange(1, 2 * _MIB)
        self._send("large.refused", "PATCH", location, content[start:], expect={416}, start=start)
        offset = self._offset(location)
        self._connection.require(offset == 0, f"{location}: {offset} bytes of a body that was refused")
        self._cancel(location)
        self._send("large.refused", "PATCH", location, content, expect={404})

    def _leave(self, repository: str) -> _BrokenOff:
        content = self._chance.choice(self._contents)
        location = self._begin(repository)
        sent_bytes = self._chance.randrange(_LEAST_SENT_BYTES, len(content))
        by_reset = self._chance.random() < _RESET_SHARE
        part, framing = self._framed(content, sent_bytes)
        is_watched = not self.read_by_threads or self._chance.random() < _WATCHED_SHARE
        self._connection.leave(
            "large.leave",
            "PATCH",
            location,
            part,
            {**_OCTETS, **framing},
            by_reset=by_reset,
            before_leaving=self._watch if is_watched else lambda _: None,
        )
        return _BrokenOff(location, content, sent_bytes, by_reset)

    def _watch(self, own_port: int) -> None:
        self.watched += 1
        self.read_by_threads += self._is_read_by_thread(own_port)

    def _where_it_stands(self, left: _BrokenOff) -> int:
        """Ask until the registry has noticed; what had come before an orderly end is kept, to the last byte."""
        # Of what a reset took nothing will ever be there; the rest may take the time that a busy machine needs.
        give_up_at = time.monotonic() + (_PATIENCE_SECONDS if left.by_reset else 60.0)
        while True:
            offset = self._offset(left.location)
            sentence = f"{left}: it stands at {offset}"
            self._connection.require(offset <= left.sent_bytes, sentence)
            if offset == left.sent_bytes or (left.by_reset and offset):
                return offset
            if (
                time.monotonic() > give_up_at
            ):  # a reset may have taken from the registry all that it had not read
                self._connection.require(left.by_reset, sentence)
                return offset

    def _offset(self, location: str) -> int:
        answer = self._connection.request("large.status", "GET", location, expect={204})
        last = int(answer.headers["range"].removeprefix("0-"))
        # Nothing and a single byte read alike; of these, a single byte does not happen.
        return last + 1 if last else 0

    def _send(
        self,
        operation: str,
        method: str,
        target: str,
        content: bytes,
        *,
        expect: Collection[int],
        start: int | None = None,
    ) -> Answer:
        """Send all of `content`, which begins at `start` of the upload if that is said."""
        body, framing = self._framed(content, len(content))
        headers = {**_OCTETS, **framing}
        if start is not None:
            headers["Content-Range"] = f"{start}-{start + len(content) - 1}"
        return self._connection.request(operation, method, target, expect=expect, body=body, headers=headers)

    def _framed(self, content: bytes, sent_bytes: int) -> tuple[bytes, Mapping[str, str]]:
        """Return what a client sends of a body until `sent_bytes` of its content have left, and its headers."""
        if self._chance.random() >= _CHUNKED_SHARE:
            return content[:sent_bytes], {"Content-Length": str(len(content))}
        pieces: list[bytes] = []
        start = 0
        while start < sent_bytes:
            end = min(start + self._chance.choice(_CHUNK_BYTES), len(content))
            pieces += (b"%x\r\n" % (end - start), content[start : min(end, sent_bytes)])
            if end <= sent_bytes:
                pieces.append(b"\r\n")
            start = end
        if sent_bytes == len(content):
            pieces.append(b"0\r\n\r\n")
        return b"".join(pieces), {"Transfer-Encoding": "chunked"}

    def _begin(self, repository: str) -> str:
        target = f"/v2/{repository}/blobs/uploads/"
        answer = self._connection.request("upload.begin", "POST", target, expect={202}, body=b"")
        return answer.headers["location"]

    def _finish(self, location: str, content: bytes) -> None:
        target = f"{location}?digest={digest_of(content)}"
        self._connection.request("large.finish", "PUT", target, expect={201}, body=b"")

    def _cancel(self, location: str) -> None:
        self._connection.request("large.cancel", "DELETE", location, expect={204})

    def _pull_and_delete(self, repository: str, content: bytes) -> None:
        path = f"/v2/{repository}/blobs/{digest_of(content)}"
        pulled = self._connection.request("large.pull", "GET", path, expect={200})
        self._connection.require(pulled.body == content, f"{path} is not what was pushed")
        self._connection.request("large.delete", "DELETE", path, expect={202})
        self._connection.request("large.head", "HEAD", path, expect={404})

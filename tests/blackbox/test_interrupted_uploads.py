"""Uploads whose chunks come in the wrong order, twice, or not to their end (security-and-reliability 4.4, F35, F44)."""

from __future__ import annotations

import random
import socket
import time
from typing import TYPE_CHECKING, Final

import httpx

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import digest_of
from tests.running.authorising import proof_of

if TYPE_CHECKING:
    from tests.running.entrepot import RunningEntrepot

_CONTENT: Final = random.Random(3).randbytes(6 * 1024 * 1024)
_DIGEST: Final = digest_of(_CONTENT)


def test_a_chunk_after_a_gap_is_refused_with_the_range_so_far(http: RegistryClient) -> None:
    """416 with Range, nothing stored; the right chunk is then accepted (F35)."""
    location = http.append(http.begin(), _CONTENT[:1000], 0).headers["location"]

    response = http.append(location, _CONTENT[2000:3000], 2000)

    assert error_code(response) == (416, "RANGE_INVALID")
    assert response.headers["range"] == "0-999"
    assert http.client.get(location).headers["range"] == "0-999"
    assert http.append(location, _CONTENT[1000:], 1000).status_code == 202
    assert http.finish(location, _DIGEST).status_code == 201


def test_a_first_chunk_that_does_not_start_at_zero_is_refused(http: RegistryClient) -> None:
    """416, as the specification asks of a chunk out of order."""
    assert http.append(http.begin(), _CONTENT[1000:2000], 1000).status_code == 416


def test_a_repeated_chunk_is_refused_with_the_range_so_far(http: RegistryClient) -> None:
    """A PATCH sent again after a lost reply: 416 tells the client to go on, not to start over (F35)."""
    location = http.append(http.begin(), _CONTENT[:1000], 0).headers["location"]

    response = http.append(location, _CONTENT[:1000], 0)

    assert (response.status_code, response.headers["range"]) == (416, "0-999")
    location = response.headers["location"]
    assert http.client.get(location).headers["range"] == "0-999"
    assert http.finish(location, _DIGEST, _CONTENT[1000:]).status_code == 201


def test_a_final_chunk_after_a_gap_is_refused(http: RegistryClient) -> None:
    """Content-Range is checked on the PUT too, before the digest is."""
    location = http.append(http.begin(), _CONTENT[:1000], 0).headers["location"]

    response = http.finish(location, _DIGEST, _CONTENT[2000:], start=2000)

    assert error_code(response) == (416, "RANGE_INVALID")
    assert http.finish(location, _DIGEST, _CONTENT[1000:]).status_code == 201


def test_an_upload_goes_on_after_a_connection_dropped_in_a_patch(
    http: RegistryClient, registry: RunningEntrepot
) -> None:
    """What the session says it has is what it has: the client sends the rest and the digest is right (F44)."""
    location = http.begin()
    _send_part(registry, http, "PATCH", location, announced=len(_CONTENT), sent=_CONTENT[: 4 * 1024 * 1024])

    stored = _settled_offset(http, location)
    assert 0 < stored <= 4 * 1024 * 1024
    response = http.append(location, _CONTENT[stored:], stored)

    assert response.status_code == 202, response.text
    assert http.finish(location, _DIGEST).status_code == 201
    assert http.get_blob(_DIGEST).content == _CONTENT


def test_a_connection_dropped_in_the_final_put_makes_no_blob(
    http: RegistryClient, registry: RunningEntrepot
) -> None:
    """Half a PUT is no push (I7); the client starts over and succeeds."""
    location = http.begin()
    path = str(httpx.URL(location).copy_merge_params({"digest": _DIGEST}))
    _send_part(registry, http, "PUT", path, announced=len(_CONTENT), sent=_CONTENT[:100_000])

    assert not http.has_blob(_DIGEST)
    assert http.push_blob(_CONTENT) == _DIGEST
    assert http.get_blob(_DIGEST).content == _CONTENT


def test_an_upload_can_be_cancelled_after_its_connection_dropped(
    http: RegistryClient, registry: RunningEntrepot
) -> None:
    """What arrived is given up with the session (F44)."""
    location = http.begin()
    _send_part(registry, http, "PATCH", location, announced=len(_CONTENT), sent=_CONTENT[: 4 * 1024 * 1024])
    _settled_offset(http, location)

    assert http.client.delete(location).status_code == 204

    assert error_code(http.client.get(location)) == (404, "BLOB_UPLOAD_UNKNOWN")


def _send_part(
    registry: RunningEntrepot, http: RegistryClient, method: str, target: str, *, announced: int, sent: bytes
) -> None:
    """Announce more bytes than are sent, then drop the connection."""
    headers = {"Host": registry.host, "Content-Length": announced, **proof_of(http.client.get(target))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {target.removeprefix(registry.url)} HTTP/1.1\r\n{lines}\r\n"
    with socket.create_connection(("127.0.0.1", registry.port), timeout=60) as connection:
        connection.sendall(head.encode() + sent)
        time.sleep(0.2)  # so that the registry is in the middle of reading, rather than not yet begun


def _settled_offset(http: RegistryClient, location: str) -> int:
    """Ask for the state of the session until it no longer changes."""
    seen: list[str] = []
    give_up_at = time.monotonic() + 60
    while len(seen) < 3 or len(set(seen[-3:])) > 1 or seen[-1] == "0-0":
        assert time.monotonic() < give_up_at, seen
        response = http.client.get(location)
        assert response.status_code == 204, response.text
        seen.append(response.headers["range"])
        time.sleep(0.1)
    return int(seen[-1].removeprefix("0-")) + 1

"""Several clients push the same thing at the same moment (F35, F36)."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from tests.blackbox.http_client import RegistryClient
from tests.blackbox.material.images import build_image, build_layer, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.running.stored_blobs import StoredBlobs

_CONTENT: Final = random.Random(5).randbytes(2 * 1024 * 1024)
_PUSHERS: Final = 20
_Item = TypeVar("_Item")


def _at_once(
    like: httpx.Client, items: Sequence[_Item], do: Callable[[httpx.Client, _Item], httpx.Response]
) -> list[httpx.Response]:
    """Do something with each item, each on its own connection, as the same visitor, all starting together."""
    barrier = threading.Barrier(len(items))

    def run(item: _Item) -> httpx.Response:
        with httpx.Client(base_url=like.base_url, auth=like.auth, timeout=60) as client:
            client.get("/v2/")
            barrier.wait(60)
            return do(client, item)

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(run, items))


def test_f35_two_final_puts_at_once_make_one_blob(http: RegistryClient, stored_blobs: StoredBlobs) -> None:
    """One of them wins; the other succeeds too or is told to try again, and then succeeds."""
    content = _CONTENT + http.repository.encode()  # stored by no other test, so that copies can be counted
    digest = digest_of(content)
    location = http.append(http.begin(), content).headers["location"]

    responses = _at_once(
        http.client,
        [location] * 2,
        lambda client, target: RegistryClient(client, http.repository).finish(target, digest),
    )

    statuses = sorted(response.status_code for response in responses)
    assert statuses in ([201, 201], [201, 409]), [response.text for response in responses]
    assert all("retry-after" in response.headers for response in responses if response.status_code == 409)
    assert http.finish(location, digest).status_code == 201
    assert http.get_blob(digest).content == content
    assert stored_blobs.wait_for_copies(digest, 1) == 1


def test_f35_two_chunks_for_the_same_place_at_once_are_not_mixed(http: RegistryClient) -> None:
    """The second writer gets 409 with Retry-After; what is stored is the first one's chunk and nothing else."""
    location = http.begin()
    halves = {letter: letter * 300_000 for letter in (b"a", b"b")}

    def append(client: httpx.Client, letter: bytes) -> httpx.Response:
        def slow() -> Iterator[bytes]:
            yield halves[letter]
            time.sleep(2)  # longer than the two can differ in their start
            yield halves[letter]

        return client.patch(location, content=slow(), headers={"content-range": "0-599999"})

    responses = dict(zip(halves, _at_once(http.client, list(halves), append), strict=True))

    assert sorted(response.status_code for response in responses.values()) == [202, 409]
    winner, loser = sorted(responses, key=lambda letter: responses[letter].status_code)
    assert responses[loser].headers["retry-after"] == "1"
    content = halves[winner] * 2
    assert http.finish(location, digest_of(content)).status_code == 201
    assert http.get_blob(digest_of(content)).content == content


def test_f36_twenty_pushers_of_one_digest_store_one_copy(
    http: RegistryClient, stored_blobs: StoredBlobs
) -> None:
    """Into twenty repositories: every push succeeds, every repository can read it, the bytes lie there once."""
    content = _CONTENT + http.repository.encode()
    digest = digest_of(content)

    def push(client: httpx.Client, number: int) -> httpx.Response:
        pusher = RegistryClient(client, f"{http.repository}{number}")
        location = pusher.append(pusher.begin(), content).headers["location"]
        return pusher.finish(location, digest)

    responses = _at_once(http.client, range(_PUSHERS), push)

    assert [response.status_code for response in responses] == [201] * _PUSHERS
    for number in range(_PUSHERS):
        assert RegistryClient(http.client, f"{http.repository}{number}").has_blob(digest)
    assert http.client.get(responses[0].headers["location"], follow_redirects=True).content == content
    assert stored_blobs.wait_for_copies(digest, 1) == 1


def test_f36_twenty_pushers_of_one_tag_leave_one_of_their_manifests(http: RegistryClient) -> None:
    """Every push is acknowledged, every manifest stays readable (I1), the tag is one of them (I4)."""
    images = [build_image([build_layer({"number": b"%d" % number})]) for number in range(_PUSHERS)]
    for image in images:
        http.push_blobs(image)

    def tag(client: httpx.Client, number: int) -> httpx.Response:
        return RegistryClient(client, http.repository).put_manifest("latest", images[number].manifest)

    responses = _at_once(http.client, range(_PUSHERS), tag)

    assert [response.status_code for response in responses] == [201] * _PUSHERS
    for image in images:
        assert http.get_manifest(image.digest).content == image.manifest
    assert http.get_manifest("latest").content in {image.manifest for image in images}

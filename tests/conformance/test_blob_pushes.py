"""Each way to push a blob, with right and with wrong digests."""

from __future__ import annotations

import random
import re
import uuid
from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.data import Blob
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.pushing import BLOB_WAYS, push_blob
from tests.conformance.sections import Section, cites, dev_level
from tests.conformance.wire import describe, error_codes

if TYPE_CHECKING:
    from tests.conformance.wire import Repository

pytestmark = in_both_setups

_CONTENTS: Final = {
    "empty": b"",
    "one-byte": b"\n",
    "empty-json": b"{}",
    "300-kB": random.Random(0).randbytes(300_001),
}
_ID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
each_way = pytest.mark.parametrize("way", BLOB_WAYS)


@cites(Section.POST_THEN_PUT, Section.SINGLE_POST, Section.CHUNKS)
@pytest.mark.parametrize("content", _CONTENTS.values(), ids=_CONTENTS)
@each_way
@each_algorithm
def test_a_blob_is_pushed(repository: Repository, algorithm: Algorithm, way: str, content: bytes) -> None:
    """201, the digest, and a Location from which it can be pulled."""
    blob = Blob(digest_of(content, algorithm), content)

    response = push_blob(repository, blob, way)

    assert response.status_code == 201, describe(response)
    assert response.headers["docker-content-digest"] == blob.digest
    pulled = repository.client.get(repository.resolve(response))
    assert (pulled.status_code, pulled.content) == (200, content)


@cites(Section.PUSHING_BLOBS)
@each_way
@each_algorithm
def test_a_blob_is_pushed_again(repository: Repository, algorithm: Algorithm, way: str) -> None:
    """Pushing what is there already succeeds, whether in this repository or in another."""
    blob = Blob(digest_of(b"twice", algorithm), b"twice")
    answers = [push_blob(where, blob, way) for where in (repository, repository, repository.sibling("two"))]

    assert [answer.status_code for answer in answers] == [201, 201, 201]


@cites(Section.PUSHING_BLOBS, Section.ERRORS)
@each_way
@each_algorithm
def test_bytes_of_another_digest_are_refused(repository: Repository, algorithm: Algorithm, way: str) -> None:
    """400 DIGEST_INVALID, and neither digest can be pulled."""
    content = f"{algorithm} {way}".encode()
    claimed = digest_of(b"something else", algorithm)

    response = push_blob(repository, Blob(claimed, content), way)

    assert (response.status_code, error_codes(response)) == (400, ["DIGEST_INVALID"]), describe(response)
    for digest in (claimed, digest_of(content, algorithm)):
        assert repository.blob("HEAD", digest).status_code == 404


_BAD_DIGESTS: Final = {
    "no-algorithm": "baddigeststring",
    "short": "sha256:0123",
    "too-long": f"sha256:{'0' * 65}",
    "no-hex": f"sha256:{'g' * 64}",
    "upper-case": f"sha256:{'A' * 64}",
    "unknown-algorithm": f"blake3:{'0' * 64}",
    "weak-algorithm": f"md5:{'0' * 32}",
    "sha512-of-64": f"sha512:{'0' * 64}",
    "empty": "",
}


@cites(Section.PUSHING_BLOBS, Section.ERRORS)
@pytest.mark.parametrize("digest", _BAD_DIGESTS.values(), ids=_BAD_DIGESTS)
@pytest.mark.parametrize("way", ["post-put", "single-post", "streamed"])
def test_what_is_no_digest_is_refused(repository: Repository, way: str, digest: str) -> None:
    """400 DIGEST_INVALID for malformed digests and unsupported algorithms."""
    if way == "single-post":
        response = repository.post_blob(b"content", digest)
    elif way == "post-put":
        response = repository.close(repository.begin_at(), digest, b"content")
    else:
        streamed = repository.stream(repository.begin_at(), [b"content"])
        response = repository.close(repository.resolve(streamed), digest)

    assert (response.status_code, error_codes(response)) == (400, ["DIGEST_INVALID"]), describe(response)


@cites(Section.PULLING_BLOBS, Section.PUSHING_BLOBS)
@pytest.mark.parametrize("digest", [one for one in _BAD_DIGESTS.values() if one])
def test_what_is_no_digest_is_not_found(repository: Repository, digest: str) -> None:
    """400 or 404, and never anything else."""
    for method in ("GET", "HEAD", "DELETE"):
        assert repository.blob(method, digest).status_code in {400, 404}


@cites(Section.POST_THEN_PUT)
def test_a_put_without_a_digest_is_refused(repository: Repository) -> None:
    """400: the closing request must name the digest."""
    response = repository.client.put(repository.begin_at(), content=b"content")

    assert response.status_code == 400, describe(response)


@cites(Section.POST_THEN_PUT)
def test_each_upload_has_an_id_of_its_own(repository: Repository) -> None:
    """The locations contain 128 bits each, written as a UUID's hexadecimal digits are, and differ."""
    found = [_ID.search(repository.begin_at().path) for _ in range(3)]

    assert all(found)
    assert len({uuid.UUID(match.group()) for match in found if match}) == 3


@cites(Section.CHUNKS)
@dev_level
@each_algorithm
def test_the_algorithm_of_an_upload_is_announced(repository: Repository, algorithm: Algorithm) -> None:
    """`digest-algorithm` begins a session like any other."""
    begun = repository.begin(**{"digest-algorithm": algorithm})
    assert begun.status_code == 202, describe(begun)

    response = repository.close(repository.resolve(begun), digest_of(b"announced", algorithm), b"announced")

    assert response.status_code == 201, describe(response)


@cites(Section.CHUNKS)
@dev_level
@pytest.mark.parametrize("announced", ALGORITHMS)
@pytest.mark.parametrize("used", ALGORITHMS)
def test_another_algorithm_than_announced_is_taken_in_the_end(
    repository: Repository, announced: str, used: Algorithm
) -> None:
    """A client SHOULD announce it, so the digest of the PUT decides."""
    location = repository.resolve(repository.begin(**{"digest-algorithm": announced}))
    location = repository.resolve(repository.stream(location, [b"some ", b"content"]))

    response = repository.close(location, digest_of(b"some content", used))

    assert response.status_code == 201, describe(response)


@cites(Section.CHUNKS, Section.PUSHING_BLOBS)
@dev_level
@pytest.mark.parametrize("algorithm", ["md5", "blake3", "SHA256", ""])
def test_an_unsupported_algorithm_is_refused_at_once(repository: Repository, algorithm: str) -> None:
    """400, before a byte is sent."""
    response = repository.begin(**{"digest-algorithm": algorithm})

    assert response.status_code == 400, describe(response)


@cites(Section.CHUNKS)
def test_an_advised_size_of_chunks_is_a_number_of_bytes(repository: Repository) -> None:
    """`OCI-Chunk-Min-Length` is optional; chunks of that size are taken."""
    begun = repository.begin()
    size = int(begun.headers.get("oci-chunk-min-length", "1"))
    assert size > 0
    content = random.Random(1).randbytes(min(size, 2_000_000) + 1)

    location = repository.resolve(repository.append(repository.resolve(begun), content[:-1], 0))
    response = repository.close(location, digest_of(content), content[-1:], len(content) - 1)

    assert response.status_code == 201, describe(response)

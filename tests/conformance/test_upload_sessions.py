"""Chunks in order and out of order, the state of an upload, going on after a mistake, cancelling."""

from __future__ import annotations

import contextlib
import http.client
from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.sections import Section, cites, dev_level
from tests.conformance.wire import describe, error_codes
from tests.running.authorising import proof_of

if TYPE_CHECKING:
    import httpx

    from tests.conformance.wire import Repository

pytestmark = in_both_setups

_CONTENT: Final = bytes(range(256)) * 40
_LARGE_CHUNK_BYTES: Final = 8_000_000
"""More than the buffers of two sockets hold."""
_PARTS: Final = ((0, _CONTENT[:4_000]), (4_000, _CONTENT[4_000:9_000]), (9_000, _CONTENT[9_000:]))

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def _begin(repository: Repository, algorithm: Algorithm) -> httpx.URL:
    return repository.resolve(repository.begin(**{"digest-algorithm": algorithm}))


def _assert_goes_on(repository: Repository, location: httpx.URL, algorithm: Algorithm, parts: int) -> None:
    """The state shows `parts` chunks, and the upload can be finished from there."""
    state = repository.client.get(location)
    assert (state.status_code, state.content) == (204, b""), describe(state)
    end = sum(len(chunk) for _, chunk in _PARTS[:parts])
    assert state.headers["range"] == f"0-{max(end - 1, 0)}"
    location = repository.resolve(state)
    for start, chunk in _PARTS[parts:]:
        answer = repository.append(location, chunk, start)
        assert answer.status_code == 202, describe(answer)
        location = repository.resolve(answer)
    response = repository.close(location, digest_of(_CONTENT, algorithm))
    assert response.status_code == 201, describe(response)
    assert repository.client.get(repository.resolve(response)).content == _CONTENT


@cites(Section.CHUNKS)
@each_algorithm
def test_each_chunk_is_acknowledged_with_the_range_so_far(
    repository: Repository, algorithm: Algorithm
) -> None:
    """202, Location and `Range: 0-<end>`."""
    location = _begin(repository, algorithm)
    for start, chunk in _PARTS:
        answer = repository.append(location, chunk, start)
        assert answer.status_code == 202, describe(answer)
        assert answer.headers["range"] == f"0-{start + len(chunk) - 1}"
        location = repository.resolve(answer)

    assert repository.close(location, digest_of(_CONTENT, algorithm)).status_code == 201


@cites(Section.CHUNKS)
@pytest.mark.parametrize("parts", range(4))
@each_algorithm
def test_the_state_of_an_upload_is_told(repository: Repository, algorithm: Algorithm, parts: int) -> None:
    """204 with Range and Location after any number of chunks."""
    location = _begin(repository, algorithm)
    for start, chunk in _PARTS[:parts]:
        location = repository.resolve(repository.append(location, chunk, start))

    _assert_goes_on(repository, location, algorithm, parts)


_WRONG_STARTS: Final = {
    "first-not-at-zero": (0, 4_000),
    "repeated": (1, 0),
    "overlapping": (1, 3_999),
    "gap": (1, 4_001),
    "skipped": (1, 9_000),
}


@cites(Section.CHUNKS)
@pytest.mark.parametrize(("parts", "start"), _WRONG_STARTS.values(), ids=_WRONG_STARTS)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@each_algorithm
def test_a_chunk_out_of_order_is_refused_and_the_upload_goes_on(
    repository: Repository, algorithm: Algorithm, method: str, parts: int, start: int
) -> None:
    """416; nothing of it is kept, and the state tells where to go on."""
    location = _begin(repository, algorithm)
    for place, chunk in _PARTS[:parts]:
        location = repository.resolve(repository.append(location, chunk, place))
    wrong = _CONTENT[start : start + 1_000]
    if method == "PATCH":
        response = repository.append(location, wrong, start)
    else:
        response = repository.close(location, digest_of(_CONTENT, algorithm), wrong, start)

    assert response.status_code == 416, describe(response)
    _assert_goes_on(repository, location, algorithm, parts)


@cites(Section.CHUNKS)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_refusal_of_a_large_chunk_reaches_a_client_that_sends_before_it_reads(
    repository: Repository, method: str
) -> None:
    """416 on a connection that stays open until the chunk was sent, and can be used again."""
    url = repository.client.base_url
    connection = http.client.HTTPConnection(url.host, url.port, timeout=30)
    with contextlib.closing(connection):
        for _ in range(5):
            begun = repository.begin()
            location = repository.resolve(begun)
            path = location.copy_with(query=f"digest={digest_of(b'')}".encode()).raw_path.decode()
            headers = {"Content-Range": f"7-{_LARGE_CHUNK_BYTES + 6}", **proof_of(begun)}
            connection.request(method, path, bytes(_LARGE_CHUNK_BYTES), headers)
            response = connection.getresponse()
            assert (response.status, b"RANGE_INVALID" in response.read()) == (416, True)


_BAD_RANGES: Final = ["", "0", "-", "x-y", "0-", "-9", "9-0", "0-3998", "0-4000", f"0-{10**30}"]


@cites(Section.CHUNKS)
@pytest.mark.parametrize("content_range", _BAD_RANGES)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_range_that_does_not_fit_its_chunk_is_refused(
    repository: Repository, method: str, content_range: str
) -> None:
    """400 or 416 for what is malformed or of another length; nothing of it is kept."""
    location = repository.begin_at()
    url = location if method == "PATCH" else location.copy_merge_params({"digest": digest_of(_CONTENT)})

    response = repository.client.request(
        method, url, content=_PARTS[0][1], headers={"content-range": content_range}
    )

    assert response.status_code in {400, 416}, describe(response)
    _assert_goes_on(repository, location, "sha256", 0)


@cites(Section.CHUNKS)
def test_a_chunk_without_a_range_is_appended(repository: Repository) -> None:
    """Clients that stream send no range; what they send goes on from the end."""
    location = repository.begin_at()
    for _, chunk in _PARTS:
        location = repository.resolve(repository.stream(location, [chunk[:7], chunk[7:]]))

    assert repository.close(location, digest_of(_CONTENT)).status_code == 201


@cites(Section.CHUNKS)
def test_a_lost_answer_is_no_obstacle(repository: Repository) -> None:
    """A chunk is sent again: 416; the state says that it is there; the client goes on."""
    location = repository.begin_at()
    repository.append(location, _PARTS[0][1], 0)
    assert repository.append(location, _PARTS[0][1], 0).status_code == 416

    _assert_goes_on(repository, location, "sha256", 1)


_ENDINGS: Final = ["finished", "refused", "cancelled"]


@cites(Section.CHUNKS, Section.CANCEL, Section.ERRORS)
@dev_level
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("ending", _ENDINGS)
def test_an_upload_that_has_ended_is_unknown(repository: Repository, ending: str, method: str) -> None:
    """404 BLOB_UPLOAD_UNKNOWN."""
    location = repository.begin_at()
    if ending == "cancelled":
        assert repository.client.delete(location).status_code == 204
    else:
        digest = digest_of(_CONTENT if ending == "finished" else b"else")
        repository.close(location, digest, _CONTENT)

    response = repository.client.request(method, location)

    assert (response.status_code, error_codes(response)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


@cites(Section.CHUNKS, Section.ERRORS)
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("session", ["0" * 32, "not-a-session", "6f0e2a1c-9e39-4ba4-8f6e-2d5d0c2e1f00"])
def test_an_upload_that_nobody_began_is_unknown(repository: Repository, method: str, session: str) -> None:
    """404 BLOB_UPLOAD_UNKNOWN."""
    repository.begin_at()
    response = repository.request(
        method, f"blobs/uploads/{session}", params={"digest": digest_of(b"never pushed")}
    )

    assert (response.status_code, error_codes(response)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


@cites(Section.CANCEL)
@dev_level
@pytest.mark.parametrize("parts", range(3))
@each_algorithm
def test_an_upload_is_cancelled(repository: Repository, algorithm: Algorithm, parts: int) -> None:
    """204 without a body; it can't be finished any more, and its bytes can't be pulled."""
    location = _begin(repository, algorithm)
    for start, chunk in _PARTS[:parts]:
        location = repository.resolve(repository.append(location, chunk, start))

    response = repository.client.request("DELETE", location, headers={"content-length": "0"})

    assert (response.status_code, response.content) == (204, b""), describe(response)
    rest = b"".join(chunk for _, chunk in _PARTS[parts:])
    assert repository.close(location, digest_of(_CONTENT, algorithm), rest).status_code == 404
    assert repository.blob("HEAD", digest_of(_CONTENT, algorithm)).status_code == 404


@cites(Section.CANCEL)
@dev_level
def test_cancelling_one_upload_leaves_the_others(repository: Repository) -> None:
    """Two uploads of the same blob know nothing of each other."""
    first, second = repository.begin_at(), repository.begin_at()
    repository.append(first, _PARTS[0][1], 0)
    repository.append(second, _PARTS[0][1], 0)
    repository.client.delete(first)

    _assert_goes_on(repository, second, "sha256", 1)

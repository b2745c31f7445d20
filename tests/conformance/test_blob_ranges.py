"""Parts of a blob, for clients that resume a pull (RFC 9110, section 14)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.digests import ALGORITHMS, Algorithm, digest_of
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe

if TYPE_CHECKING:
    import httpx

    from tests.conformance.wire import Repository

pytestmark = [in_both_setups, cites(Section.PULLING_BLOBS)]

_SIZES: Final = {"small": 2_048, "large": 200_000}
"""On both sides of what a registry might keep beside its metadata."""

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
each_size = pytest.mark.parametrize("size", _SIZES.values(), ids=_SIZES)


def _push(repository: Repository, algorithm: Algorithm, size: int) -> tuple[str, bytes]:
    content = random.Random(size).randbytes(size)
    digest = digest_of(content, algorithm)
    assert repository.push_blob(content, digest).status_code == 201
    return digest, content


@each_algorithm
@each_size
def test_a_range_is_sent_alone(repository: Repository, algorithm: Algorithm, size: int) -> None:
    """206 with the bytes, their number and their place: from, to, from on, the last, beyond the end."""
    digest, content = _push(repository, algorithm, size)
    expected = {
        "500-1499": (500, 1_499),
        "0-0": (0, 0),
        "500-": (500, size - 1),
        "-500": (size - 500, size - 1),
        f"-{size * 2}": (0, size - 1),
        f"{size - 48}-{size + 5_000}": (size - 48, size - 1),
        "0-": (0, size - 1),
    }
    for text, (start, end) in expected.items():
        response = repository.blob("GET", digest, range=f"bytes={text}")
        assert (response.status_code, response.content) == (206, content[start : end + 1]), text
        assert response.headers["content-range"] in {f"bytes {start}-{end}/{size}", f"bytes {start}-{end}/*"}
        assert response.headers["content-length"] == str(end - start + 1)


@each_algorithm
@each_size
def test_a_range_without_a_byte_is_refused(repository: Repository, algorithm: Algorithm, size: int) -> None:
    """416: beyond the end, of no length, or ending before it starts."""
    digest, _ = _push(repository, algorithm, size)
    for text in (f"{size}-", f"{size + 5}-{size + 9}", "-0", "500-0"):
        response = repository.blob("GET", digest, range=f"bytes={text}")
        assert response.status_code == 416, describe(response)


@each_size
def test_a_pull_is_resumed(repository: Repository, size: int) -> None:
    """The pieces put together have the digest."""
    digest, content = _push(repository, "sha256", size)
    step = size // 3
    pieces: list[httpx.Response] = [
        repository.blob("GET", digest, range=f"bytes={start}-{start + step - 1}")
        for start in range(0, size, step)
    ]

    assert b"".join(piece.content for piece in pieces) == content


@each_size
@pytest.mark.parametrize("text", ["bytes=0-1,5-9", "lines=0-5", "bytes=x-y", "bytes", ""])
def test_what_is_not_one_range_of_bytes_is_ignored(repository: Repository, size: int, text: str) -> None:
    """200 and everything; a registry that understands several ranges may send them instead."""
    digest, content = _push(repository, "sha256", size)

    response = repository.blob("GET", digest, range=text)

    assert (response.status_code, response.content) == (200, content)


@each_size
def test_a_registry_that_sends_parts_says_so(repository: Repository, size: int) -> None:
    """`Accept-Ranges` on GET and HEAD."""
    digest, _ = _push(repository, "sha256", size)

    assert [repository.blob(method, digest).headers["accept-ranges"] for method in ("GET", "HEAD")] == [
        "bytes",
        "bytes",
    ]

"""Pushes a kind of content as a client does, and deletes it again, keeping every answer for the cases to judge.

The cases of one kind look at one push: a request per case would only repeat it. Nothing is judged here; where a step
fails the following ones are still tried, so that each case reports its own failure. Hence the client to push with is
one that does not judge either (`open_recording_client`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from tests.conformance.data import Kind, Naming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.data import Blob, Manifest
    from tests.conformance.wire import Repository

__all__ = ["BLOB_WAYS", "Deleted", "Pushed", "chunks_of", "delete_kind", "push_blob", "push_kind"]

BLOB_WAYS: Final = ("post-put", "single-post", "chunked", "chunked-with-last-put", "streamed")
"""The ways the specification has to push a blob."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One kind in one repository: the answer to the push of each blob (by digest), manifest (by digest) and tag."""

    kind: Kind
    repository: Repository
    blobs: dict[str, httpx.Response] = field(default_factory=dict[str, httpx.Response])
    manifests: dict[str, httpx.Response] = field(default_factory=dict[str, httpx.Response])
    tags: dict[str, httpx.Response] = field(default_factory=dict[str, httpx.Response])


@dataclass(frozen=True, slots=True)
class Deleted:
    """One kind deleted: for each tag, manifest and blob the answers to DELETE and to the GET and HEAD after it."""

    kind: Kind
    repository: Repository
    answers: dict[str, tuple[httpx.Response, ...]] = field(
        default_factory=dict[str, tuple[httpx.Response, ...]]
    )


def chunks_of(content: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield `content` in `count` pieces of nearly the same size, with the place of each; fewer when it is short."""
    size = max(1, -(-len(content) // count))
    for start in range(0, len(content), size):
        yield start, content[start : start + size]


def push_blob(repository: Repository, blob: Blob, way: str) -> httpx.Response:
    """Push a blob in one of :data:`BLOB_WAYS` and return the last answer, or the first that was no success."""
    if way == "single-post":
        return repository.post_blob(blob.content, blob.digest)
    begun = repository.begin(**_algorithm(blob))
    if begun.status_code != 202:
        return begun
    location = repository.resolve(begun)
    if way == "post-put":
        return repository.close(location, blob.digest, blob.content)
    if way == "streamed":
        streamed = repository.stream(location, [chunk for _, chunk in chunks_of(blob.content, 5)])
        if streamed.status_code != 202:
            return streamed
        return repository.close(repository.resolve(streamed), blob.digest)
    return _push_chunks(repository, blob, location, last_with_put=way == "chunked-with-last-put")


def _algorithm(blob: Blob) -> dict[str, str]:
    algorithm = blob.digest.partition(":")[0]
    return {} if algorithm == "sha256" else {"digest-algorithm": algorithm}


def _push_chunks(
    repository: Repository, blob: Blob, location: httpx.URL, *, last_with_put: bool
) -> httpx.Response:
    chunks = list(chunks_of(blob.content, 3))
    final = chunks.pop() if last_with_put and chunks else None
    for start, chunk in chunks:
        answer = repository.append(location, chunk, start)
        if answer.status_code != 202:
            return answer
        location = repository.resolve(answer)
    if final is None:
        return repository.close(location, blob.digest)
    return repository.close(location, blob.digest, final[1], final[0])


def push_kind(repository: Repository, kind: Kind) -> Pushed:
    """Push blobs, each in the next way, then manifests in order: children before what lists them."""
    pushed = Pushed(kind, repository)
    for blob, way in zip(kind.blobs, itertools.cycle(BLOB_WAYS)):
        pushed.blobs[blob.digest] = push_blob(repository, blob, way)
    for manifest in kind.manifests:
        _push_manifest(pushed, manifest)
    return pushed


def _push_manifest(pushed: Pushed, manifest: Manifest) -> None:
    put = pushed.repository.put_manifest
    parameters = manifest.tags if pushed.kind.naming is Naming.BY_PARAMETER else ()
    answer = put(manifest.digest, manifest.body, manifest.media_type, parameters)
    pushed.manifests[manifest.digest] = answer
    for tag in manifest.tags:
        pushed.tags[tag] = answer if parameters else put(tag, manifest.body, manifest.media_type)


def delete_kind(repository: Repository, kind: Kind) -> Deleted:
    """Push a kind, then delete tags, manifests from the outermost inwards, and blobs."""
    push_kind(repository, kind)
    deleted = Deleted(kind, repository)
    outermost_first = [manifest.digest for manifest in reversed(kind.manifests)]
    for reference in (*kind.tags, *outermost_first):
        deleted.answers[reference] = tuple(
            repository.manifest(method, reference) for method in ("DELETE", "GET", "HEAD")
        )
    for blob in kind.blobs:
        deleted.answers[blob.digest] = tuple(
            repository.blob(method, blob.digest) for method in ("DELETE", "GET", "HEAD")
        )
    return deleted

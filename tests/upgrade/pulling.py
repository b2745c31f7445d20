"""Looks whether a registry has everything that a frozen directory had, byte for byte, and can go on from there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx

from tests.blackbox.material.images import (
    IMAGE_MANIFEST,
    build_image,
    build_random_layer,
    digest_of,
)
from tests.upgrade.content import APPLICATION, bytes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.upgrade.content import Expectations, Upload

__all__ = ["finish_uploads", "push_again", "require_everything", "require_pulls"]


def require_everything(url: str, expected: Expectations) -> None:
    """Pull every tag, manifest and blob, look for what must be gone, and find them in the lists."""
    require_pulls(url, expected)
    with httpx.Client(base_url=url, timeout=60, auth=expected.auth) as client:
        catalog = client.get("/v2/_catalog").json()["repositories"]
        assert set(expected.manifests) <= set(catalog)
        for repository, subjects in expected.referrers.items():
            for subject, digests in subjects.items():
                entries = client.get(f"/v2/{repository}/referrers/{subject}").json()["manifests"]
                assert [entry["digest"] for entry in entries] == digests


def require_pulls(url: str, expected: Expectations) -> None:
    """Pull every tag, manifest and blob, and look for what must be gone: what the first version can do as well."""
    with httpx.Client(base_url=url, timeout=60, auth=expected.auth) as client:
        for repository, tags in expected.tags.items():
            listed = client.get(f"/v2/{repository}/tags/list").json()["tags"]
            assert set(tags) <= set(listed)
            for tag, manifest in tags.items():
                answer = client.get(f"/v2/{repository}/manifests/{tag}")
                found = (answer.headers["docker-content-digest"], answer.headers["content-type"])
                assert found == (manifest.digest, manifest.media_type)
                assert digest_of(answer.content) == manifest.digest
        for repository, manifests in expected.manifests.items():
            for manifest in manifests:
                content = _pull(client, f"/v2/{repository}/manifests/{manifest.digest}")
                assert (digest_of(content), len(content)) == (manifest.digest, manifest.size)
        for repository, blobs in expected.blobs.items():
            for digest, size in blobs.items():
                content = _pull(client, f"/v2/{repository}/blobs/{digest}")
                algorithm, _, encoded = digest.partition(":")
                assert (hashlib.new(algorithm, content).hexdigest(), len(content)) == (encoded, size)
        for key in expected.orphans:
            _, algorithm, _, encoded, _ = key.split("/")
            for repository in expected.manifests:
                path = f"/v2/{repository}/blobs/{algorithm}:{encoded}"
                assert client.get(path).status_code == 404, "bytes without a row are served"
        assert {path: client.get(path).status_code for path in expected.deleted} == dict.fromkeys(
            expected.deleted, 404
        )


def finish_uploads(url: str, uploads: Sequence[Upload], auth: httpx.Auth | None = None) -> None:
    """Go on with every upload where it was acknowledged, and pull what came of it."""
    assert uploads
    with httpx.Client(base_url=url, timeout=60, auth=auth) as client:
        for upload in uploads:
            _finish(client, upload)


def _finish(client: httpx.Client, upload: Upload) -> None:
    content = bytes_of(upload.seed, upload.size)
    status = client.get(upload.location)
    assert status.status_code == 204, status.text
    received = int(status.headers["range"].removeprefix("0-")) + 1 if upload.offset else 0
    assert received == upload.offset
    rest = content[received:]
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"{received}-{len(content) - 1}",
    }
    answer = client.patch(status.headers.get("location", upload.location), content=rest, headers=headers)
    assert answer.status_code == 202, answer.text
    digest = digest_of(content)
    finished = client.put(answer.headers["location"], params={"digest": digest})
    assert finished.status_code == 201, finished.text
    assert _pull(client, f"/v2/{upload.repository}/blobs/{digest}") == content


def push_again(url: str, seed: int, repository: str = APPLICATION, *, auth: httpx.Auth | None = None) -> None:
    """Push an image nobody pushed before, twice, and pull it."""
    image = build_image([build_random_layer("new", 2000, seed=seed)])
    with httpx.Client(base_url=url, timeout=60, auth=auth) as client:
        for _ in range(2):
            for blob in image.blobs:
                query = {"digest": digest_of(blob)}
                began = client.post(f"/v2/{repository}/blobs/uploads/", params=query, content=blob)
                assert began.status_code == 201, began.text
            path = f"/v2/{repository}/manifests/pushed-{seed}"
            answer = client.put(path, content=image.manifest, headers={"Content-Type": IMAGE_MANIFEST})
            assert answer.status_code == 201, answer.text
        assert _pull(client, f"/v2/{repository}/manifests/pushed-{seed}") == image.manifest
        for blob in image.blobs:
            assert _pull(client, f"/v2/{repository}/blobs/{digest_of(blob)}") == blob


def _pull(client: httpx.Client, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    return answer.content

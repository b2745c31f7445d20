"""Blobs that one repository takes over from another (distribution-spec, "Mounting a blob from another repository")."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import digest_of
from tests.running.visitors import Access

if TYPE_CHECKING:
    from tests.running.stored_blobs import StoredBlobs

_CONTENT = random.Random(4).randbytes(200_000)


@pytest.fixture
def source(http: RegistryClient) -> RegistryClient:
    """Another repository of this test's project."""
    return RegistryClient(http.client, f"{http.repository}-source")


@pytest.mark.parametrize("with_source", [True, False], ids=["from", "no from"])
def test_a_blob_is_mounted(
    http: RegistryClient, source: RegistryClient, stored_blobs: StoredBlobs, access: Access, with_source: bool
) -> None:
    """201 with the blob's Location and digest; it can be pulled at once, and there is one copy of it.

    A token is good for what its challenge asked for: for the source only when the client names it.
    """
    content = _CONTENT + http.repository.encode()
    digest = source.push_blob(content)

    fields = {"mount": digest} | ({"from": source.repository} if with_source else {})
    response = http.request("POST", "blobs/uploads/", params=fields)

    if access is Access.TOKENS and not with_source:
        assert response.status_code == 202, response.text
        assert http.finish(response.headers["location"], digest, content).status_code == 201
        return

    assert response.status_code == 201, response.text
    assert response.headers["docker-content-digest"] == digest
    got = http.client.get(response.headers["location"], follow_redirects=True)
    assert (got.status_code, got.content) == (200, content)
    assert stored_blobs.wait_for_copies(digest, 1) == 1


def test_a_mounted_blob_outlives_its_source(http: RegistryClient, source: RegistryClient) -> None:
    """A link is a link of its own: taken from the source, the blob stays in the target."""
    digest = source.push_blob(_CONTENT)
    assert (
        http.request(
            "POST", "blobs/uploads/", params={"mount": digest, "from": source.repository}
        ).status_code
        == 201
    )

    assert source.request("DELETE", f"blobs/{digest}").status_code == 202

    assert not source.has_blob(digest)
    assert http.get_blob(digest).content == _CONTENT


@pytest.mark.parametrize("name", ["no/such/repository", "Not_A_Name", "", "../.."])
def test_what_can_not_be_mounted_is_uploaded(http: RegistryClient, name: str) -> None:
    """202 and a session, whatever is wrong with the source; the upload that follows works."""
    digest = digest_of(b"nobody has this" + http.repository.encode())

    response = http.request("POST", "blobs/uploads/", params={"mount": digest, "from": name})

    assert response.status_code == 202, response.text
    content = b"nobody has this" + http.repository.encode()
    assert http.finish(response.headers["location"], digest, content).status_code == 201


@pytest.mark.parametrize("digest", ["sha256:abc", "nonsense", "sha256:" + "A" * 64])
def test_a_malformed_digest_is_not_mounted(http: RegistryClient, digest: str) -> None:
    """400 DIGEST_INVALID."""
    response = http.request("POST", "blobs/uploads/", params={"mount": digest, "from": "team/app"})

    assert error_code(response) == (400, "DIGEST_INVALID")

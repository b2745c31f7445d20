"""Deleting from outside: 202 once and 404 afterwards, and nothing that is in use."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import httpx

from entrepot.processes.assignment import Role
from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import INDEX, build_image, build_index, build_layer, digest_of
from tests.processes.running import is_alive, wait_for
from tests.running.visitors import access_of, visited_registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running.entrepot import RunningEntrepot

_IMAGE: Final = build_image([build_layer({"file": b"to be deleted"})])
_OTHER_IMAGE: Final = build_image([build_layer({"file": b"to be kept"})], "arm64")


def _delete(http: RegistryClient, path: str) -> httpx.Response:
    return http.request("DELETE", path)


def test_a_tag_is_deleted_and_its_manifest_stays(http: RegistryClient) -> None:
    """202 with an empty body; other tags and the digest are still served (I5)."""
    http.push_blobs(_IMAGE)
    for tag in ("v1", "v2"):
        assert http.put_manifest(tag, _IMAGE.manifest).status_code == 201

    response = _delete(http, "manifests/v1")

    assert (response.status_code, response.content) == (202, b"")
    assert error_code(http.get_manifest("v1")) == (404, "MANIFEST_UNKNOWN")
    assert error_code(_delete(http, "manifests/v1")) == (404, "MANIFEST_UNKNOWN")
    assert http.request("GET", "tags/list").json()["tags"] == ["v2"]
    for reference in ("v2", _IMAGE.digest):
        assert http.get_manifest(reference).content == _IMAGE.manifest


def test_a_manifest_is_deleted_with_its_tags_and_comes_back_by_a_push(http: RegistryClient) -> None:
    """By digest; the same image can be pushed and pulled again."""
    http.push_blobs(_IMAGE)
    for tag in ("v1", "v2"):
        assert http.put_manifest(tag, _IMAGE.manifest).status_code == 201

    assert _delete(http, f"manifests/{_IMAGE.digest}").status_code == 202

    for reference in ("v1", "v2", _IMAGE.digest):
        assert error_code(http.get_manifest(reference)) == (404, "MANIFEST_UNKNOWN")
    assert http.request("GET", "tags/list").json()["tags"] == []
    assert http.put_manifest("v1", _IMAGE.manifest).status_code == 201
    assert http.get_manifest("v1").content == http.get_manifest(_IMAGE.digest).content == _IMAGE.manifest


def test_i2_what_is_in_use_is_not_deleted(http: RegistryClient) -> None:
    """409 DENIED from the top down: blobs of an image, image of an index; in the other order all of it goes (I2)."""
    for image in (_IMAGE, _OTHER_IMAGE):
        http.push_blobs(image)
        assert http.put_manifest(image.digest, image.manifest).status_code == 201
    index = build_index([_IMAGE, _OTHER_IMAGE])
    assert http.put_manifest("multi", index, INDEX).status_code == 201
    blobs = [digest_of(blob) for blob in _IMAGE.blobs]
    order = [f"manifests/{digest_of(index)}", f"manifests/{_IMAGE.digest}"]
    order += [f"blobs/{digest}" for digest in blobs]

    for path in reversed(order[1:]):
        assert error_code(_delete(http, path)) == (409, "DENIED")
    assert http.get_manifest("multi").content == index
    assert [_delete(http, path).status_code for path in order] == [202] * len(order)
    assert [_delete(http, path).status_code for path in order] == [404] * len(order)
    assert http.get_manifest(_OTHER_IMAGE.digest).content == _OTHER_IMAGE.manifest


def test_s4_a_deleted_blob_is_gone_here_and_stays_elsewhere(http: RegistryClient) -> None:
    """GET, HEAD and a manifest that needs it find nothing; the other repository serves it (S4)."""
    other = RegistryClient(http.client, f"{http.repository}-other")
    for client in (http, other):
        client.push_blobs(_IMAGE)
    for blob in _IMAGE.blobs:
        digest = digest_of(blob)
        assert http.get_blob(digest).content == blob

        assert _delete(http, f"blobs/{digest}").status_code == 202

        assert other.get_blob(digest).content == blob
        assert error_code(http.get_blob(digest)) == (404, "BLOB_UNKNOWN")
        assert not http.has_blob(digest)
    assert error_code(http.put_manifest("v1", _IMAGE.manifest)) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert other.put_manifest("v1", _IMAGE.manifest).status_code == 201


def test_what_does_not_exist_is_not_deleted(http: RegistryClient) -> None:
    """404 for an unknown repository, tag, manifest and blob; 400 for malformed digests."""
    digest = digest_of(b"absent")
    assert error_code(_delete(http, "manifests/v1")) == (404, "NAME_UNKNOWN")
    http.push_blobs(_IMAGE)
    for path in ("manifests/v1", f"manifests/{digest}"):
        assert error_code(_delete(http, path)) == (404, "MANIFEST_UNKNOWN")
    assert error_code(_delete(http, f"blobs/{digest}")) == (404, "BLOB_UNKNOWN")
    for path in ("manifests/sha256:short", "blobs/latest"):
        assert error_code(_delete(http, path)) == (400, "DIGEST_INVALID")


def test_s43_one_push_sets_all_its_tags(http: RegistryClient) -> None:
    """`?tag=` with a digest, also of sha512: `OCI-Tag` names each; one malformed tag refuses all."""
    http.push_blobs(_IMAGE)
    query = "&".join(f"tag=v{number}" for number in range(10))

    refused = http.put_manifest(f"{_IMAGE.digest}?{query}&tag=-bad", _IMAGE.manifest)
    assert error_code(refused) == (400, "TAG_INVALID")
    assert http.get_manifest(_IMAGE.digest).status_code == 404
    response = http.put_manifest(f"{_IMAGE.digest}?{query}", _IMAGE.manifest)

    assert response.status_code == 201, response.text
    assert response.headers["oci-tag"].split(", ") == [f"v{number}" for number in range(10)]
    assert http.request("GET", "tags/list").json()["tags"] == [f"v{number}" for number in range(10)]


def test_s12_modes_change_by_reload(tmp_path: Path, rotating_seed: int) -> None:
    """SIGHUP makes a running registry read-only or undeletable and back; pulls never notice (S12)."""
    with (
        visited_registry(access_of(0, rotating_seed), tmp_path, {}) as (registry, visitor),
        httpx.Client(base_url=registry.url, auth=visitor.auth, timeout=30) as client,
    ):
        http = RegistryClient(client, visitor.make_room("modes/image"))
        http.push_blobs(_IMAGE)
        assert http.put_manifest("v1", _IMAGE.manifest).status_code == 201

        _reload(registry, 1, {"allow_delete": False})
        refused = _delete(http, "manifests/v1")
        assert (error_code(refused), refused.headers["allow"]) == ((405, "UNSUPPORTED"), "GET, HEAD")
        assert "registry.allow_delete" in refused.text
        assert http.put_manifest("v2", _IMAGE.manifest).status_code == 201

        _reload(registry, 2, {"read_only": True})
        for response in (
            http.put_manifest("v3", _IMAGE.manifest),
            http.request("POST", "blobs/uploads/"),
            _delete(http, "manifests/v1"),
        ):
            assert error_code(response) == (405, "UNSUPPORTED")
            assert "registry.read_only" in response.text
        assert http.get_manifest("v1").content == _IMAGE.manifest

        _reload(registry, 3, {})
        assert _delete(http, "manifests/v1").status_code == 202


def _reload(registry: RunningEntrepot, count: int, modes: dict[str, bool]) -> None:
    former = registry.pid(Role.HTTP)
    registry.settings["registry"] = modes
    registry.write_settings()
    registry.parent.send_signal(signal.SIGHUP)
    registry.wait_for_event("reload.finished", count, timeout_seconds=60)
    # A connection that is open may bring the former process one more request before it ends.
    wait_for(lambda: not is_alive(former), 60, registry.log_tail)

"""Plain HTTP as the distribution specification words it, one request per method, nothing retried or hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.blackbox.material.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    IMAGE_MANIFEST,
    INDEX,
    Image,
    digest_of,
)

__all__ = ["RegistryClient", "error_code"]


_ACCEPT: Final = f"{IMAGE_MANIFEST}, {INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"


@dataclass(frozen=True, slots=True)
class RegistryClient:
    """Requests about one repository."""

    client: httpx.Client
    repository: str

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask for a path below `/v2/<repository>/`."""
        return self.client.request(method, f"/v2/{self.repository}/{path}", **more)

    def begin(self) -> str:
        """Begin an upload and return its Location."""
        response = self.request("POST", "blobs/uploads/")
        assert response.status_code == 202, response.text
        return response.headers["location"]

    def append(self, location: str, chunk: bytes, start: int | None = None) -> httpx.Response:
        """PATCH a chunk; with Content-Range when `start` is given."""
        return self.client.patch(location, content=chunk, headers=_place(chunk, start))

    def finish(
        self, location: str, digest: str, chunk: bytes = b"", start: int | None = None
    ) -> httpx.Response:
        """PUT the end of an upload; what query the Location has is kept."""
        url = httpx.URL(location).copy_merge_params({"digest": digest})
        return self.client.put(url, content=chunk, headers=_place(chunk, start))

    def push_blob(self, content: bytes) -> str:
        """Push a blob by POST and PUT and return its digest."""
        digest = digest_of(content)
        response = self.finish(self.begin(), digest, content)
        assert response.status_code == 201, response.text
        return digest

    def push_blobs(self, image: Image) -> None:
        """Push all an image's manifest refers to."""
        for blob in image.blobs:
            self.push_blob(blob)

    def put_manifest(
        self, reference: str, manifest: bytes, media_type: str = IMAGE_MANIFEST
    ) -> httpx.Response:
        """PUT a manifest by tag or digest."""
        return self.request(
            "PUT", f"manifests/{reference}", content=manifest, headers={"content-type": media_type}
        )

    def get_blob(self, digest: str) -> httpx.Response:
        """GET a blob, following a redirect to the object store."""
        return self.request("GET", f"blobs/{digest}", follow_redirects=True)

    def has_blob(self, digest: str) -> bool:
        """Whether HEAD finds a blob; anything but 200 and 404 is a failure."""
        response = self.request("HEAD", f"blobs/{digest}")
        assert response.status_code in {200, 404}, response.status_code
        return response.status_code == 200

    def get_manifest(self, reference: str) -> httpx.Response:
        """GET a manifest by tag or digest."""
        return self.request("GET", f"manifests/{reference}", headers={"accept": _ACCEPT})


def _place(chunk: bytes, start: int | None) -> dict[str, str]:
    headers = {"content-type": "application/octet-stream"}
    if start is not None:
        headers["content-range"] = f"{start}-{start + len(chunk) - 1}"
    return headers


def error_code(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the one error code of an error reply (distribution-spec, "Error Codes")."""
    assert response.headers["content-type"].startswith("application/json"), response.headers
    errors = response.json()["errors"]
    assert len(errors) == 1, errors
    return response.status_code, errors[0]["code"]

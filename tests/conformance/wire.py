"""One HTTP request per call, as the specification words it; nothing is retried, and every answer is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.conformance.obligations import broken_obligations

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Repository", "describe", "error_codes", "judged", "open_client", "open_recording_client"]

_OCTETS: Final = "application/octet-stream"
_TIMEOUT_SECONDS: Final = 60


def open_client(url: str, auth: httpx.Auth | None) -> httpx.Client:
    """Return a client whose every answer, challenges too, is held to what the specification asks of all answers."""
    client = open_recording_client(url, auth)
    client.event_hooks = {"response": [_look_at]}
    return client


def open_recording_client(url: str, auth: httpx.Auth | None) -> httpx.Client:
    """Return a client that hands out answers as they are, for :func:`judged` to look at later."""
    return httpx.Client(base_url=url, auth=auth, timeout=_TIMEOUT_SECONDS, follow_redirects=True)


def judged(response: httpx.Response) -> httpx.Response:
    """Return an answer that keeps what the specification asks of all answers."""
    faults = broken_obligations(response)
    assert faults == [], describe(response)
    return response


def _look_at(response: httpx.Response) -> None:
    response.read()
    if not response.has_redirect_location and response.url.path.startswith("/v2"):
        judged(response)  # anything else is of the object store, or on the way there


def describe(response: httpx.Response) -> str:
    """Return request and answer in two lines, for the message of a failure."""
    return f"{response.request.method} {response.request.url} → {response.status_code} {response.text[:500]}"


def error_codes(response: httpx.Response) -> list[str]:
    """Return the codes of an error's body."""
    return [error["code"] for error in response.json()["errors"]]


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository, and the requests that the specification has for it."""

    client: httpx.Client
    name: str

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask for a path below `/v2/<name>/`."""
        return self.client.request(method, f"/v2/{self.name}/{path}", **more)

    def sibling(self, suffix: str) -> Repository:
        """Return a second repository of the same registry."""
        return Repository(self.client, f"{self.name}-{suffix}")

    def resolve(self, response: httpx.Response) -> httpx.URL:
        """Return the Location of an answer as a URL, as RFC 9110 (section 10.2.2) has it: it may be relative."""
        return response.request.url.join(response.headers["location"])

    def begin(self, **query: str) -> httpx.Response:
        """POST for an upload session."""
        return self.request("POST", "blobs/uploads/", params=query, headers={"content-length": "0"})

    def begin_at(self) -> httpx.URL:
        """Begin an upload and return where it goes on."""
        response = self.begin()
        assert response.status_code == 202, describe(response)
        return self.resolve(response)

    def post_blob(self, content: bytes, digest: str) -> httpx.Response:
        """Push a blob by a single POST."""
        return self.request(
            "POST",
            "blobs/uploads/",
            params={"digest": digest},
            content=content,
            headers={"content-type": _OCTETS},
        )

    def mount(self, digest: str, source: str | None) -> httpx.Response:
        """POST to mount a blob, from a named repository or from any."""
        query = {"mount": digest} if source is None else {"mount": digest, "from": source}
        return self.request("POST", "blobs/uploads/", params=query, headers={"content-length": "0"})

    def append(self, location: httpx.URL, chunk: bytes, start: int) -> httpx.Response:
        """PATCH a chunk that says where it belongs."""
        headers = {"content-type": _OCTETS, "content-range": f"{start}-{start + len(chunk) - 1}"}
        return self.client.patch(location, content=chunk, headers=headers)

    def stream(self, location: httpx.URL, chunks: Iterable[bytes]) -> httpx.Response:
        """PATCH a body of unknown length without a range."""
        return self.client.patch(location, content=iter(chunks), headers={"content-type": _OCTETS})

    def close(
        self, location: httpx.URL, digest: str, chunk: bytes = b"", start: int | None = None
    ) -> httpx.Response:
        """PUT the end of an upload; what query the location has is kept."""
        headers = {"content-type": _OCTETS}
        if start is not None:
            headers["content-range"] = f"{start}-{start + len(chunk) - 1}"
        return self.client.put(location.copy_merge_params({"digest": digest}), content=chunk, headers=headers)

    def push_blob(self, content: bytes, digest: str) -> httpx.Response:
        """Push a blob by POST and PUT."""
        return self.close(self.begin_at(), digest, content)

    def put_manifest(
        self, reference: str, body: bytes, media_type: str, tags: tuple[str, ...] = ()
    ) -> httpx.Response:
        """PUT a manifest by tag or digest, with tags as parameters."""
        return self.request(
            "PUT",
            f"manifests/{reference}",
            params={"tag": list(tags)} if tags else None,
            content=body,
            headers={"content-type": media_type},
        )

    def manifest(self, method: str, reference: str, accept: str = "*/*") -> httpx.Response:
        """GET, HEAD or DELETE a manifest by tag or digest."""
        return self.request(method, f"manifests/{reference}", headers={"accept": accept})

    def blob(self, method: str, digest: str, **headers: str) -> httpx.Response:
        """GET, HEAD or DELETE a blob."""
        return self.request(method, f"blobs/{digest}", headers=headers)

    def tags(self, **query: str) -> httpx.Response:
        """GET the list of tags."""
        return self.request("GET", "tags/list", params=query)

    def referrers(self, digest: str, **query: str) -> httpx.Response:
        """GET the list of referrers."""
        return self.request("GET", f"referrers/{digest}", params=query)

"""What is pushed into a data directory before it is frozen, and what must be found in it for ever after."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Final

import httpx
import msgspec

from tests.blackbox.clients.program import Program, scratch_environment
from tests.blackbox.material.images import (
    IMAGE_MANIFEST,
    INDEX,
    build_image,
    build_index,
    build_random_layer,
    digest_of,
    to_json,
)
from tests.blackbox.material.layouts import write_layout
from tests.plumbing.skips import require_program
from tests.upgrade.accounts import APPLICATION, Accounts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blackbox.material.images import Image

__all__ = [
    "APPLICATION",
    "TOOLS",
    "Expectations",
    "Manifest",
    "Upload",
    "begin_upload",
    "bytes_of",
    "push_everything",
]

TOOLS: Final = "tools"
_LAYER_BYTES: Final = 3000
_OCTETS: Final = {"Content-Type": "application/octet-stream"}
_EMPTY: Final = b"{}"


class Manifest(msgspec.Struct, frozen=True):
    """A manifest that can be pulled."""

    digest: str
    media_type: str
    size: int


class Upload(msgspec.Struct, frozen=True):
    """An unfinished upload: `bytes_of(seed, size)` is the blob, of which `offset` bytes were acknowledged."""

    repository: str
    location: str
    seed: int
    size: int
    offset: int


class Expectations(msgspec.Struct):
    """What the version that made the directory answered last, repository by repository.

    `commit` tells a reader which version that was; by the git object ids `source` and `lock` it is found again.
    """

    commit: str
    source: str
    lock: str
    engine: str
    tags: dict[str, dict[str, Manifest]] = msgspec.field(default_factory=dict[str, dict[str, Manifest]])
    manifests: dict[str, list[Manifest]] = msgspec.field(default_factory=dict[str, list[Manifest]])
    blobs: dict[str, dict[str, int]] = msgspec.field(default_factory=dict[str, dict[str, int]])
    referrers: dict[str, dict[str, list[str]]] = msgspec.field(
        default_factory=dict[str, dict[str, list[str]]]
    )
    deleted: list[str] = msgspec.field(default_factory=list[str])
    """Paths that must be answered with 404; empty where the version had no deletes."""
    uploads: list[Upload] = msgspec.field(default_factory=list[Upload])
    orphans: list[str] = msgspec.field(default_factory=list[str])
    """Keys in the blob store that no row mentions."""
    accounts: Accounts | None = None
    """Nothing where the version had none, or was run without them."""

    @property
    def auth(self) -> httpx.Auth | None:
        """What a client of httpx is given to do everything."""
        if self.accounts is None:
            return None
        return httpx.BasicAuth(self.accounts.administrator.name, self.accounts.administrator.secret)


def bytes_of(seed: int, size: int) -> bytes:
    """Return the bytes of an upload."""
    return random.Random(seed).randbytes(size)


class _Pusher:
    """Pushes with plain requests and notes what must be found."""

    def __init__(self, client: httpx.Client, expectations: Expectations) -> None:
        self.client = client
        self._expected = expectations

    def blob(self, repository: str, content: bytes, digest: str | None = None) -> None:
        digest = digest or digest_of(content)
        location = self.client.post(f"/v2/{repository}/blobs/uploads/").headers["location"]
        location = self.client.patch(location, content=content, headers=_OCTETS).headers["location"]
        assert self.client.put(location, params={"digest": digest}).status_code == 201
        self.note_blob(repository, digest, len(content))

    def note_blob(self, repository: str, digest: str, size: int) -> None:
        self._expected.blobs.setdefault(repository, {})[digest] = size

    def manifest(self, repository: str, content: bytes, media_type: str, tag: str | None = None) -> None:
        path = f"/v2/{repository}/manifests/{tag or digest_of(content)}"
        answer = self.client.put(path, content=content, headers={"Content-Type": media_type})
        assert answer.status_code == 201, answer.text
        self.note_manifest(repository, content, media_type, tag)

    def note_manifest(self, repository: str, content: bytes, media_type: str, tag: str | None) -> None:
        noted = Manifest(digest_of(content), media_type, len(content))
        known = self._expected.manifests.setdefault(repository, [])
        if noted not in known:
            known.append(noted)
        if tag is not None:
            self._expected.tags.setdefault(repository, {})[tag] = noted

    def image(self, repository: str, image: Image, tag: str | None = None) -> None:
        for blob in image.blobs:
            self.blob(repository, blob)
        self.manifest(repository, image.manifest, IMAGE_MANIFEST, tag)

    def delete(self, path: str) -> bool:
        """Delete, and tell whether this version can."""
        done = self.client.delete(path).status_code == 202
        if done:
            self._expected.deleted.append(path)
        return done


def begin_upload(client: httpx.Client, repository: str, seed: int, size: int, offset: int) -> Upload:
    """Begin an upload and leave it after `offset` bytes."""
    location = client.post(f"/v2/{repository}/blobs/uploads/").headers["location"]
    if offset:
        staged = bytes_of(seed, size)[:offset]
        answer = client.patch(location, content=staged, headers=_OCTETS)
        assert answer.status_code == 202
        location = answer.headers["location"]
    return Upload(repository, location, seed, size, offset)


def push_everything(host: str, expectations: Expectations, scratch: Path) -> None:
    """Push into an empty registry at `host` (address and port), with skopeo and by plain requests.

    With accounts it has the projects already.
    """
    first, second, third, gone = (
        build_image([build_random_layer("file", _LAYER_BYTES, seed=number)], architecture)
        for number, architecture in ((1, "amd64"), (2, "arm64"), (3, "amd64"), (4, "amd64"))
    )
    write_layout(scratch / "layout", "v1", first)
    skopeo = Program((require_program("skopeo"),), scratch_environment(scratch / "home"))
    skopeo.run(
        "copy",
        "--dest-tls-verify=false",
        *_credentials(expectations),
        f"oci:{scratch}/layout:v1",
        f"docker://{host}/{APPLICATION}:v1",
    )
    with httpx.Client(base_url=f"http://{host}", timeout=60, auth=expectations.auth) as client:
        pusher = _Pusher(client, expectations)
        for blob in first.blobs:
            pusher.note_blob(APPLICATION, digest_of(blob), len(blob))
        pusher.note_manifest(APPLICATION, first.manifest, IMAGE_MANIFEST, "v1")
        pusher.manifest(APPLICATION, first.manifest, IMAGE_MANIFEST, "latest")
        pusher.image(APPLICATION, second)
        pusher.manifest(APPLICATION, build_index([first, second]), INDEX, "multi")
        _attach_a_referrer(pusher, first, expectations)
        _share_a_layer(pusher, first, third)
        plain = bytes_of(5, 700)
        pusher.blob(APPLICATION, plain, f"sha512:{hashlib.sha512(plain).hexdigest()}")
        pusher.image(APPLICATION, gone, "old")
        _delete(pusher, gone, expectations)
        expectations.uploads.append(begin_upload(client, APPLICATION, seed=6, size=9000, offset=4000))
        expectations.uploads.append(begin_upload(client, TOOLS, seed=7, size=5000, offset=0))


def _credentials(expectations: Expectations) -> list[str]:
    if expectations.accounts is None:
        return []
    account = expectations.accounts.administrator
    return [f"--dest-creds={account.name}:{account.secret}"]


def _attach_a_referrer(pusher: _Pusher, subject: Image, expectations: Expectations) -> None:
    """Push an artifact that names an image as its subject; a version without lists of referrers keeps it as well."""
    pusher.blob(APPLICATION, _EMPTY)
    empty = {"digest": digest_of(_EMPTY), "mediaType": "application/vnd.oci.empty.v1+json", "size": 2}
    artifact = to_json(
        {
            "artifactType": "application/vnd.example.signature",
            "config": empty,
            "layers": [empty],
            "mediaType": IMAGE_MANIFEST,
            "schemaVersion": 2,
            "subject": {
                "digest": subject.digest,
                "mediaType": IMAGE_MANIFEST,
                "size": len(subject.manifest),
            },
        }
    )
    pusher.manifest(APPLICATION, artifact, IMAGE_MANIFEST)
    expectations.referrers[APPLICATION] = {subject.digest: [digest_of(artifact)]}


def _share_a_layer(pusher: _Pusher, holder: Image, image: Image) -> None:
    """Give a second repository a blob of the first one, by a mount where this version can, and an image of its own."""
    shared = holder.layers[0].compressed
    query = {"mount": digest_of(shared), "from": APPLICATION}
    mounted = pusher.client.post(f"/v2/{TOOLS}/blobs/uploads/", params=query).status_code == 201
    if mounted:
        pusher.note_blob(TOOLS, digest_of(shared), len(shared))
    else:
        pusher.blob(TOOLS, shared)
    pusher.image(TOOLS, image, "v3")
    both = build_image([*holder.layers, *image.layers])
    pusher.image(TOOLS, both, "both")


def _delete(pusher: _Pusher, gone: Image, expectations: Expectations) -> None:
    """Delete a tag, then its manifest, then the blobs, as far as this version can."""
    manifests = f"/v2/{APPLICATION}/manifests"
    if not pusher.delete(f"{manifests}/old"):
        return
    del expectations.tags[APPLICATION]["old"]
    pusher.delete(f"{manifests}/{gone.digest}")
    kept = [one for one in expectations.manifests[APPLICATION] if one.digest != gone.digest]
    expectations.manifests[APPLICATION] = kept
    for blob in gone.blobs:
        pusher.delete(f"/v2/{APPLICATION}/blobs/{digest_of(blob)}")
        del expectations.blobs[APPLICATION][digest_of(blob)]

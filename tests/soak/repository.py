"""What one client knows of one repository, and the requests that keep the two the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.blackbox.material.images import IMAGE_MANIFEST, INDEX, build_index, digest_of, to_json

if TYPE_CHECKING:
    import random

    from tests.blackbox.material.images import Image
    from tests.soak.connection import Connection

__all__ = ["Repository"]

_OCTETS: Final = {"Content-Type": "application/octet-stream"}
_EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"


@dataclass(slots=True)
class Repository:
    """A repository that nobody else writes to; `images` by manifest digest and `tags` are what must be found in it.

    Every method sends requests through the connection and raises what that raises; the model changes with the answer
    that acknowledges the change, never before it.
    """

    name: str
    connection: Connection
    images: dict[str, Image] = field(default_factory=dict[str, "Image"])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    def push(self, image: Image, tag: str, chance: random.Random, mount_from: str | None) -> None:
        """Push what is missing of an image, in one of the ways clients have, and set a tag."""
        for blob in image.blobs:
            digest = digest_of(blob)
            path = f"/v2/{self.name}/blobs/{digest}"
            expected = {200} if image.digest in self.images else {200, 404}
            if self.connection.request("blob.head", "HEAD", path, expect=expected).status == 404:
                self._push_blob(blob, digest, chance, mount_from)
        self._push_manifest(image.manifest, tag, IMAGE_MANIFEST)
        self.images[image.digest] = image
        self.tags[tag] = image.digest

    def pull(self, tag: str) -> None:
        """Pull an image by tag: every byte is what was pushed."""
        image = self.images[self.tags[tag]]
        answer = self.connection.request(
            "manifest.pull", "GET", f"/v2/{self.name}/manifests/{tag}", expect={200}
        )
        self._require(answer.body == image.manifest, f"{self.name}:{tag} is not what was pushed")
        for blob in image.blobs:
            path = f"/v2/{self.name}/blobs/{digest_of(blob)}"
            pulled = self.connection.request("blob.pull", "GET", path, expect={200})
            self._require(pulled.body == blob, f"{path} is not what was pushed")

    def list_tags(self) -> None:
        """The list of tags holds all of them and no other."""
        answer = self.connection.request("tags.list", "GET", f"/v2/{self.name}/tags/list", expect={200})
        self._require(json.loads(answer.body)["tags"] == sorted(self.tags), f"{self.name}: other tags")

    def delete_tag(self, tag: str) -> None:
        """Delete a tag: it is gone, its manifest is not."""
        path = f"/v2/{self.name}/manifests/{tag}"
        self.connection.request("tag.delete", "DELETE", path, expect={202})
        digest = self.tags.pop(tag)
        self.connection.request("manifest.head", "HEAD", path, expect={404})
        self.connection.request("manifest.head", "HEAD", f"/v2/{self.name}/manifests/{digest}", expect={200})

    def delete_image(self, digest: str) -> None:
        """Delete a manifest with its tags, and its blobs."""
        path = f"/v2/{self.name}/manifests/{digest}"
        self.connection.request("manifest.delete", "DELETE", path, expect={202})
        image = self.images.pop(digest)
        self.tags = {tag: target for tag, target in self.tags.items() if target != digest}
        self.connection.request("manifest.pull", "GET", path, expect={404})
        for blob in image.blobs:
            blob_path = f"/v2/{self.name}/blobs/{digest_of(blob)}"
            self.connection.request("blob.delete", "DELETE", blob_path, expect={202})
            self.connection.request("blob.head", "HEAD", blob_path, expect={404})

    def come_and_go_with_an_index(self) -> None:
        """Push an index of two images; while it lists them they can't be deleted; delete it."""
        images = list(self.images.values())[:2]
        index = build_index(images)
        path = f"/v2/{self.name}/manifests/{digest_of(index)}"
        self._push_manifest(index, digest_of(index), INDEX)
        child = f"/v2/{self.name}/manifests/{images[0].digest}"
        self.connection.request("manifest.delete", "DELETE", child, expect={409})
        pulled = self.connection.request("manifest.pull", "GET", path, expect={200})
        self._require(pulled.body == index, f"{path} is not what was pushed")
        self.connection.request("manifest.delete", "DELETE", path, expect={202})

    def come_and_go_with_a_referrer(self, chance: random.Random) -> None:
        """Attach an artifact to an image, find it among the image's referrers, delete it."""
        subject = chance.choice(list(self.images.values()))
        self._push_blob(_EMPTY, digest_of(_EMPTY), chance, None)
        empty = {"digest": digest_of(_EMPTY), "mediaType": _EMPTY_TYPE, "size": len(_EMPTY)}
        described = {"digest": subject.digest, "mediaType": IMAGE_MANIFEST, "size": len(subject.manifest)}
        artifact = to_json(
            {
                "artifactType": "application/vnd.example.signature",
                "config": empty,
                "layers": [empty],
                "mediaType": IMAGE_MANIFEST,
                "schemaVersion": 2,
                "subject": described,
            }
        )
        digest = digest_of(artifact)
        self._push_manifest(artifact, digest, IMAGE_MANIFEST)
        answer = self.connection.request(
            "referrers.list", "GET", f"/v2/{self.name}/referrers/{subject.digest}", expect={200}
        )
        found = [entry["digest"] for entry in json.loads(answer.body)["manifests"]]
        self._require(digest in found, f"{self.name}: {digest} is not among the referrers {found}")
        self.connection.request(
            "manifest.delete", "DELETE", f"/v2/{self.name}/manifests/{digest}", expect={202}
        )

    def begin_an_upload(self, content: bytes) -> str:
        """Send part of a blob and return the location of its session, which stays open."""
        location = self._begin("")
        answer = self.connection.request(
            "upload.append", "PATCH", location, expect={202}, body=content, headers=_OCTETS
        )
        return answer.headers["location"]

    def cancel_an_upload(self, content: bytes) -> None:
        """Begin an upload, look how far it is, and cancel it."""
        location = self.begin_an_upload(content)
        answer = self.connection.request("upload.status", "GET", location, expect={204})
        self._require(answer.headers["range"] == f"0-{len(content) - 1}", f"{location}: {answer.headers}")
        self.connection.request("upload.cancel", "DELETE", location, expect={204})

    def _push_blob(self, blob: bytes, digest: str, chance: random.Random, mount_from: str | None) -> None:
        if mount_from is not None:
            mount = f"/v2/{self.name}/blobs/uploads/?mount={digest}&from={mount_from}"
            self.connection.request("blob.mount", "POST", mount, expect={201}, body=b"")
            return
        way = chance.random()
        if way < 0.3:
            target = f"/v2/{self.name}/blobs/uploads/?digest={digest}"
            self.connection.request(
                "upload.at_once", "POST", target, expect={201}, body=blob, headers=_OCTETS
            )
            return
        location = self._begin("")
        middle = len(blob) // 2 if way < 0.5 else 0
        for start, end in ((0, middle), (middle, len(blob))):
            if start == end:
                continue
            headers = {**_OCTETS, "Content-Range": f"{start}-{end - 1}"}
            answer = self.connection.request(
                "upload.append", "PATCH", location, expect={202}, body=blob[start:end], headers=headers
            )
            location = answer.headers["location"]
        self.connection.request("upload.finish", "PUT", f"{location}?digest={digest}", expect={201}, body=b"")

    def _begin(self, query: str) -> str:
        target = f"/v2/{self.name}/blobs/uploads/{query}"
        return self.connection.request("upload.begin", "POST", target, expect={202}, body=b"").headers[
            "location"
        ]

    def _push_manifest(self, manifest: bytes, reference: str, media_type: str) -> None:
        target = f"/v2/{self.name}/manifests/{reference}"
        self.connection.request(
            "manifest.push", "PUT", target, expect={201}, body=manifest, headers={"Content-Type": media_type}
        )

    def _require(self, condition: bool, sentence: str) -> None:
        self.connection.require(condition, sentence)

"""What clients that Debian does not ship say on the wire, replayed request by request: crane, helm, BuildKit, Jib.

Each sequence stops where its client would: a status, header or body it insists on is asserted, nothing else.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import pytest

from tests.blackbox.material.images import IMAGE_MANIFEST, INDEX, build_image, build_layer, digest_of, to_json
from tests.running.authorising import proof_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.blackbox.http_client import RegistryClient
    from tests.blackbox.material.images import Image

_HELM_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_HELM_CHART: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_HELM_PROVENANCE: Final = "application/vnd.cncf.helm.chart.provenance.v1.prov"
_BINARY: Final = {"content-type": "application/octet-stream"}


@pytest.fixture
def image(http: RegistryClient) -> Image:
    """Return an image whose blobs no other test pushes."""
    return build_image([build_layer({"whose": http.repository.encode()})])


def _resolved(response: httpx.Response) -> str:
    """Follow Location as a client does that accepts a relative one (RFC 9110, section 10.2.2)."""
    location = urljoin(str(response.url), response.headers["location"])
    assert urlsplit(location).netloc == urlsplit(str(response.url)).netloc
    return location


def _with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if urlsplit(location).query else '?'}digest={digest}"


def _crane_pushes_a_blob(http: RegistryClient, content: bytes, source: str) -> None:
    """HEAD, POST with mount, from and origin, PATCH with a length but no range, PUT without a body."""
    digest = digest_of(content)
    head = http.request("HEAD", f"blobs/{digest}")
    assert (head.status_code, head.content) == (404, b"")
    begun = http.request(
        "POST", "blobs/uploads/", params={"mount": digest, "from": source, "origin": "index.docker.io"}
    )
    assert begun.status_code == 202, begun.text

    sent = http.client.patch(_resolved(begun), content=content)
    assert sent.request.headers["content-length"] == str(len(content))
    assert "content-range" not in sent.request.headers
    assert sent.status_code == 202, sent.text

    done = http.client.put(_with_digest(_resolved(sent), digest))
    assert done.status_code == 201, done.text  # 200 and 204, which others take, are errors to it
    assert http.request("HEAD", f"blobs/{digest}").headers["content-length"] == str(len(content))


def test_crane_pushes_an_image_that_it_hoped_to_mount(http: RegistryClient, image: Image) -> None:
    """The repository it names in `from` is on another registry: it must be told 202, and go on."""
    assert http.client.get("/v2/").status_code == 200

    for blob in image.blobs:
        _crane_pushes_a_blob(http, blob, "library/base")
    assert http.request("HEAD", "manifests/v1").status_code == 404
    assert http.put_manifest("v1", image.manifest).status_code == 201

    head = http.request("HEAD", "manifests/v1", headers={"accept": IMAGE_MANIFEST})
    assert head.headers["docker-content-digest"] == image.digest
    assert head.headers["content-type"] == IMAGE_MANIFEST
    assert head.headers["content-length"] == str(len(image.manifest))


def test_crane_mounts_a_blob_of_this_registry(http: RegistryClient, image: Image) -> None:
    """201 with a Location that serves the blob: it sends nothing more."""
    content = image.layers[0].compressed
    source = f"{http.repository}-source"
    begun = http.client.post(
        f"/v2/{source}/blobs/uploads/", params={"digest": digest_of(content)}, content=content
    )
    assert begun.status_code == 201

    mounted = http.request(
        "POST",
        "blobs/uploads/",
        params={"mount": digest_of(content), "from": source, "origin": "index.docker.io"},
    )

    assert (mounted.status_code, mounted.headers["docker-content-digest"]) == (201, digest_of(content))
    assert http.client.get(_resolved(mounted), follow_redirects=True).content == content


def test_crane_takes_an_index_for_the_referrers_api(http: RegistryClient, image: Image) -> None:
    """Anything but 200 with an index sends it to the tag scheme; an image nobody pushed is no exception."""
    response = http.request("GET", f"referrers/{image.digest}", headers={"accept": INDEX})

    assert (response.status_code, response.headers["content-type"]) == (200, INDEX)
    assert response.json()["manifests"] == []


def test_helm_pushes_a_chart_with_its_provenance(http: RegistryClient) -> None:
    """Through oras-go: HEAD, POST, one PUT with the whole body; media types that no image has."""
    parts: dict[str, tuple[str, bytes]] = {
        "config": (_HELM_CONFIG, to_json({"apiVersion": "v2", "name": "chart", "version": "0.1.0+build.5"})),
        "chart": (_HELM_CHART, build_layer({"chart/Chart.yaml": http.repository.encode()}).compressed),
        "provenance": (_HELM_PROVENANCE, b"-----BEGIN PGP SIGNED MESSAGE-----\n" + http.repository.encode()),
    }
    described: dict[str, dict[str, Any]] = {
        name: {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
        for name, (media_type, content) in parts.items()
    }
    manifest = to_json(
        {
            "schemaVersion": 2,
            "config": described["config"],
            "layers": [described["chart"], described["provenance"]],
            "annotations": {"org.opencontainers.image.version": "0.1.0+build.5"},
        }
    )
    tag = "0.1.0_build.5"  # a tag has no plus sign: helm writes an underscore

    for _, content in parts.values():
        assert http.request("HEAD", f"blobs/{digest_of(content)}").status_code == 404
        begun = http.request("POST", "blobs/uploads/", headers={"content-length": "0"})
        assert begun.status_code == 202
        done = http.client.put(
            _with_digest(_resolved(begun), digest_of(content)), content=content, headers=_BINARY
        )
        assert done.status_code == 201, done.text
    assert http.put_manifest(tag, manifest).status_code == 201

    resolved = http.request("HEAD", f"manifests/{tag}", headers={"accept": IMAGE_MANIFEST})
    digest = resolved.headers["docker-content-digest"]
    assert http.get_manifest(digest).content == manifest
    for _, content in parts.values():
        assert http.get_blob(digest_of(content)).content == content
    assert http.request("GET", "tags/list").json() == {"name": http.repository, "tags": [tag]}


def test_oras_go_asks_whether_there_is_a_referrers_api(http: RegistryClient) -> None:
    """It probes with a digest of zeros: NAME_UNKNOWN would be an error to it, any other 404 no API."""
    response = http.request("GET", f"referrers/sha256:{'0' * 64}")

    assert (response.status_code, response.headers["content-type"]) == (200, INDEX)


def test_buildkit_streams_a_blob_into_one_put(http: RegistryClient, image: Image) -> None:
    """As containerd: POST, then PUT of a body of unknown length; the digest in the answer must be the blob's."""
    content = image.layers[0].compressed

    def stream() -> Iterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    begun = http.request("POST", "blobs/uploads/")
    done = http.client.put(
        _with_digest(_resolved(begun), digest_of(content)), content=stream(), headers=_BINARY
    )

    assert "transfer-encoding" in done.request.headers
    assert done.status_code == 201, done.text
    assert done.headers["docker-content-digest"] == digest_of(content)


def test_jib_asks_for_a_mount_without_a_source(http: RegistryClient, image: Image) -> None:
    """`mount` alone, for a blob that nobody has: an upload begins, which PATCH and PUT complete."""
    content = image.config
    begun = http.request("POST", "blobs/uploads/", params={"mount": digest_of(content)})
    assert begun.status_code == 202, begun.text

    sent = http.client.patch(_resolved(begun), content=content, headers=_BINARY)
    assert sent.status_code == 202
    done = http.client.put(_with_digest(_resolved(sent), digest_of(content)))

    assert done.status_code == 201
    assert http.get_blob(digest_of(content)).content == content


def test_regclient_sends_chunks_of_the_size_it_was_told(http: RegistryClient, image: Image) -> None:
    """With Content-Range, none smaller than OCI-Chunk-Min-Length but the last; each answer says how far it got."""
    content = image.layers[0].compressed
    begun = http.request("POST", "blobs/uploads/", headers={"content-length": "0"})
    minimum = int(begun.headers.get("oci-chunk-min-length", "0"))
    size = max(minimum, 2000)
    location = _resolved(begun)

    for start in range(0, len(content), size):
        chunk = content[start : start + size]
        place = f"{start}-{start + len(chunk) - 1}"
        sent = http.client.patch(location, content=chunk, headers={**_BINARY, "content-range": place})
        assert (sent.status_code, sent.headers["range"]) == (202, f"0-{start + len(chunk) - 1}"), sent.text
        location = _resolved(sent)
    done = http.client.put(_with_digest(location, digest_of(content)), headers={"content-length": "0"})

    assert done.status_code == 201, done.text


def test_docker_resumes_a_layer_whose_pull_broke_off(http: RegistryClient, image: Image) -> None:
    """It asks for the rest with an open range; told 206 it appends, told anything else it begins anew."""
    content = image.layers[0].compressed
    http.push_blob(content)

    rest = http.client.get(
        f"/v2/{http.repository}/blobs/{digest_of(content)}",
        headers={"range": "bytes=100-"},
        follow_redirects=True,
    )

    assert (rest.status_code, rest.content) == (206, content[100:])
    assert rest.headers["content-range"] == f"bytes 100-{len(content) - 1}/{len(content)}"


def test_what_docker_accepts_does_not_change_what_it_gets(http: RegistryClient, image: Image) -> None:
    """Its list of types goes over several Accept lines and ends with others; the OCI manifest is among them."""
    http.push_blobs(image)
    assert http.put_manifest("v1", image.manifest).status_code == 201
    accept = [
        ("accept", "application/vnd.docker.distribution.manifest.v2+json"),
        ("accept", "application/vnd.docker.distribution.manifest.list.v2+json"),
        (
            "accept",
            f"{IMAGE_MANIFEST}, {INDEX}, application/vnd.docker.distribution.manifest.v1+prettyjws, */*",
        ),
    ]

    got = http.client.get(f"/v2/{http.repository}/manifests/v1", headers=accept)

    assert (got.status_code, got.headers["content-type"]) == (200, IMAGE_MANIFEST)
    assert json.loads(got.content)["config"]["digest"] == image.config_digest


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(http: RegistryClient, image: Image) -> None:
    """As .NET clients and curl do before a large body; httpx does not wait, so the socket is spoken to directly."""
    content = image.layers[0].compressed
    begun = http.request("POST", "blobs/uploads/")
    target = urlsplit(_with_digest(_resolved(begun), digest_of(content)))
    proof = "".join(f"{name}: {value}\r\n" for name, value in proof_of(begun).items())
    head = (
        f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n{proof}"
        f"Content-Length: {len(content)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    assert target.hostname is not None
    with socket.create_connection((target.hostname, target.port or 80), timeout=20) as connection:
        connection.sendall(head.encode())
        interim = connection.recv(1000)
        connection.sendall(content)
        final = b"".join(iter(lambda: connection.recv(65536), b""))

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert final.startswith(b"HTTP/1.1 201 ")
    assert http.get_blob(digest_of(content)).content == content

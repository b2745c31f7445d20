"""cosign signs, attests and attaches, by tags of its own scheme and by the referrers of OCI 1.1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blackbox.clients.cosign import Cosign
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client

_OCI_1_1: Final = ("--registry-referrers-mode", "oci-1-1")
_SBOM: Final = '{"bomFormat":"CycloneDX","specVersion":"1.5"}'


@pytest.fixture
def signed(material: Material, registry: RunningEntrepot, http: RegistryClient) -> str:
    """Push an image and return the reference by digest that cosign is to sign."""
    image = material.small[0]
    http.push_blobs(image)
    assert http.put_manifest("1", image.manifest).status_code == 201
    return f"{registry.host}/{http.repository}@{image.digest}"


@pytest.fixture
def sbom(tmp_path: Path) -> Path:
    """Write a bill of materials."""
    file = tmp_path / "sbom.json"
    file.write_text(_SBOM)
    return file


def test_cosign_verifies_what_it_signed(cosign: Cosign, http: RegistryClient, signed: str) -> None:
    """The signature lies under cosign's tag; an image without one is refused."""
    assert "no signatures found" in cosign.check_failing("verify", signed)

    cosign.create("sign", signed)

    digest = signed.partition("@")[2]
    verified = json.loads(cosign.check("verify", signed))
    assert verified[0]["critical"]["image"] == {"docker-manifest-digest": digest}
    assert http.get_manifest(f"{digest.replace(':', '-')}.sig").status_code == 200
    assert (
        cosign.run("triangulate", signed).strip()
        == f"{signed.partition('@')[0]}:{digest.replace(':', '-')}.sig"
    )


def test_cosign_adds_a_second_signature_to_the_first(cosign: Cosign, signed: str) -> None:
    """It reads the manifest of signatures, adds a layer and moves the tag: both annotations verify."""
    for number in "12":
        cosign.create("sign", "--annotations", f"number={number}", signed)

    for number in "12":
        cosign.check("verify", "--annotations", f"number={number}", signed)
    cosign.check_failing("verify", "--annotations", "number=3", signed)
    assert len(json.loads(cosign.check("verify", signed))) == 2


def test_cosign_verifies_what_it_attested(cosign: Cosign, signed: str, sbom: Path) -> None:
    """The predicate comes back inside the verified statement."""
    cosign.create("attest", "--type", "custom", "--predicate", str(sbom), signed)

    said = json.loads(cosign.check("verify-attestation", "--type", "custom", signed))

    assert said["payloadType"] == "application/vnd.in-toto+json"
    cosign.check_failing("verify-attestation", "--type", "spdx", signed)


def test_cosign_attaches_a_bill_of_materials(
    cosign: Cosign, http: RegistryClient, signed: str, sbom: Path
) -> None:
    """`tree` and `download sbom` find it."""
    cosign.run("attach sbom", "--sbom", str(sbom), "--type", "cyclonedx", signed)

    assert ".sbom" in cosign.run("tree", signed)
    assert cosign.run("download sbom", signed) == _SBOM


def test_cosign_copies_an_image_with_its_signatures(
    cosign: Cosign, http: RegistryClient, signed: str, sbom: Path
) -> None:
    """In the other repository everything verifies as in the first."""
    cosign.create("sign", signed)
    cosign.create("attest", "--type", "custom", "--predicate", str(sbom), signed)
    name, _, digest = signed.partition("@")

    cosign.run("copy", signed, f"{name}-copy:1")

    cosign.check("verify", f"{name}-copy@{digest}")
    cosign.check("verify-attestation", "--type", "custom", f"{name}-copy@{digest}")


def test_cosign_cleans_what_it_attached(
    cosign: Cosign, http: RegistryClient, signed: str, sbom: Path
) -> None:
    """`clean --type all` deletes tags; the image stays."""
    cosign.create("sign", signed)
    cosign.create("attest", "--type", "custom", "--predicate", str(sbom), signed)
    cosign.run("attach sbom", "--sbom", str(sbom), "--type", "cyclonedx", signed)
    assert len(_tags(http)) == 4

    cosign.run("clean", "--force", "--type", "all", signed)

    assert _tags(http) == ["1"]
    cosign.check_failing("verify", signed)


def test_cosign_signs_by_referrers(cosign: Cosign, http: RegistryClient, signed: str) -> None:
    """In OCI 1.1 mode the signature is a referrer of the image, and no tag is made for it."""
    experimental = cosign.with_oci_1_1()
    experimental.create("sign", *_OCI_1_1, signed)

    verified = json.loads(experimental.check("verify", "--experimental-oci11", signed))

    assert verified[0]["critical"]["image"] == {"docker-manifest-digest": signed.partition("@")[2]}
    types = [entry["artifactType"] for entry in _referrers(http, signed.partition("@")[2])]
    assert types == ["application/vnd.dev.cosign.artifact.sig.v1+json"]
    assert _tags(http) == ["1"]


def test_cosign_attaches_a_bill_of_materials_by_referrers(
    cosign: Cosign, http: RegistryClient, signed: str, sbom: Path
) -> None:
    """Its artifact type is that of cosign's bills of materials; no tag is made for it."""
    cosign.with_oci_1_1().run("attach sbom", "--sbom", str(sbom), "--type", "cyclonedx", *_OCI_1_1, signed)

    listed = _referrers(http, signed.partition("@")[2])
    assert [entry["artifactType"] for entry in listed] == ["application/vnd.dev.cosign.artifact.sbom.v1+json"]
    layers = json.loads(http.get_manifest(listed[0]["digest"]).content)["layers"]
    assert http.get_blob(layers[0]["digest"]).text == _SBOM
    assert _tags(http) == ["1"]


def _tags(http: RegistryClient) -> list[str]:
    tags: list[str] = http.request("GET", "tags/list").json()["tags"]
    return tags


def _referrers(http: RegistryClient, digest: str) -> list[dict[str, Any]]:
    manifests: list[dict[str, Any]] = http.request("GET", f"referrers/{digest}").json()["manifests"]
    return manifests

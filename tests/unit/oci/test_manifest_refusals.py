"""Manifests that are refused: malformed, ambiguous (S32), of another kind, or too large (S36)."""

from __future__ import annotations

from typing import Any

import pytest

from entrepot.oci.manifest import (
    MAX_MANIFEST_BYTES,
    InvalidManifestError,
    ManifestTooLargeError,
    UnsupportedManifestError,
    parse_manifest,
)
from entrepot.oci.media_types import (
    ACCEPTED_MANIFEST_TYPES,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_MANIFEST_SCHEMA1,
    DOCKER_MANIFEST_SCHEMA1_SIGNED,
    OCI_ARTIFACT_MANIFEST,
    OCI_IMAGE_INDEX,
    OCI_IMAGE_MANIFEST,
)
from tests.unit.oci.manifest_samples import (
    descriptor,
    digest_of,
    docker_image,
    docker_list,
    encode,
    oci_image,
    oci_index,
)


def _refusal(body: bytes, content_type: str | None = None) -> InvalidManifestError:
    with pytest.raises(InvalidManifestError) as caught:
        parse_manifest(body, content_type)
    return caught.value


@pytest.mark.parametrize(
    "content_type",
    [
        OCI_IMAGE_MANIFEST,
        f"{OCI_IMAGE_MANIFEST}; charset=utf-8",
        f" {OCI_IMAGE_MANIFEST.upper()}\t;charset=utf-8",
        "",
        " ",
        None,
    ],
)
def test_s32_content_type_is_compared_without_parameters_and_case_and_may_be_missing(
    content_type: str | None,
) -> None:
    assert parse_manifest(encode(oci_image()), content_type).media_type == OCI_IMAGE_MANIFEST


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (oci_image(), OCI_IMAGE_INDEX),
        (oci_image(), DOCKER_MANIFEST),
        (oci_index(), OCI_IMAGE_MANIFEST),
        (docker_image(), OCI_IMAGE_MANIFEST),
        (docker_list(), OCI_IMAGE_INDEX),
        (oci_image(mediaType=OCI_IMAGE_MANIFEST.upper()), OCI_IMAGE_MANIFEST),
        (oci_image(mediaType=f"{OCI_IMAGE_MANIFEST}; charset=utf-8"), OCI_IMAGE_MANIFEST),
        (oci_image(mediaType=""), OCI_IMAGE_MANIFEST),
        (oci_image(mediaType=None), OCI_IMAGE_MANIFEST),
        (oci_image(mediaType=[OCI_IMAGE_MANIFEST]), None),
    ],
)
def test_s32_a_body_of_another_type_than_its_content_type_is_refused(
    document: dict[str, Any], content_type: str | None
) -> None:
    assert _refusal(encode(document), content_type).path == "$.mediaType"


@pytest.mark.parametrize(
    ("document", "content_type"), [(oci_image, OCI_IMAGE_MANIFEST), (oci_index, OCI_IMAGE_INDEX)]
)
def test_an_oci_body_may_leave_its_type_to_the_content_type(
    document: type[dict[str, Any]], content_type: str
) -> None:
    assert parse_manifest(encode(document(mediaType=...)), content_type).media_type == content_type


@pytest.mark.parametrize(
    ("document", "content_type"), [(docker_image, DOCKER_MANIFEST), (docker_list, DOCKER_MANIFEST_LIST)]
)
def test_s32_a_docker_body_must_repeat_its_type(document: type[dict[str, Any]], content_type: str) -> None:
    assert "must repeat it" in _refusal(encode(document(mediaType=...)), content_type).reason


def test_s32_without_any_type_nothing_is_guessed() -> None:
    assert "neither a Content-Type" in _refusal(encode(oci_image(mediaType=...))).reason


@pytest.mark.parametrize("image_member", ["layers", "config"])
@pytest.mark.parametrize("value", [[], None, {}])
@pytest.mark.parametrize("content_type", [OCI_IMAGE_INDEX, None])
def test_s32_an_index_with_a_member_of_an_image_is_refused_even_when_it_is_empty(
    image_member: str, value: object, content_type: str | None
) -> None:
    refusal = _refusal(encode(oci_index(**{image_member: value})), content_type)

    assert refusal.reason == "a document has either manifests, or config and layers, never both"


@pytest.mark.parametrize("document", [oci_image, docker_image])
@pytest.mark.parametrize("value", [[], None])
def test_s32_an_image_with_manifests_is_refused_even_when_they_are_empty(
    document: type[dict[str, Any]], value: object
) -> None:
    assert "never both" in _refusal(encode(document(manifests=value))).reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"schemaVersion": 2', '"schemaVersion": 2, "schemaVersion": 2'),
        ('"config"', '"config": {}, "config"'),
        ('"size": 5', '"size": 5, "size": 6'),
        ('"size": 5', '"size": 5, "s\\u0069ze": 6'),
        ('"size": 5', '"size": 5, "annotations": {"a": "1", "a": "2"}'),
        ('"size": 5', '"size": 5, "extra": [[{"a": 1, "a": 1}]]'),
    ],
)
def test_s32_a_key_that_occurs_twice_anywhere_is_refused(before: str, after: str) -> None:
    body = encode(oci_image()).decode()
    assert before in body

    assert "occurs twice" in _refusal(body.replace(before, after, 1).encode()).reason


@pytest.mark.parametrize(
    "member",
    ["Layers", "LAYERS", "Config", "mediatype", "Manifests", "Subject", "\u017fchemaVersion", "layer\u017f"],
)
@pytest.mark.parametrize("document", [oci_image, oci_index])
def test_s32_a_member_go_readers_would_take_for_a_known_one_is_refused(
    document: type[dict[str, Any]], member: str
) -> None:
    refusal = _refusal(encode(document(**{member: []})))

    assert "upper and lower case" in refusal.reason
    assert refusal.path == "$"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (oci_image(config=descriptor("c", Digest=digest_of("other"))), "$.config"),
        (oci_image(subject=descriptor("c", SIZE=1)), "$.subject"),
        (oci_image(layers=[descriptor("c"), descriptor("d", mediatype="x")]), "$.layers[1]"),
        (oci_index(manifests=[descriptor("c", URLs=[])]), "$.manifests[0]"),
    ],
)
def test_s32_a_descriptor_member_go_readers_would_take_for_a_known_one_is_refused(
    document: dict[str, Any], path: str
) -> None:
    refusal = _refusal(encode(document))

    assert (refusal.path, "upper and lower case" in refusal.reason) == (path, True)


def test_s32_one_digest_with_two_sizes_is_refused() -> None:
    layers = [descriptor("same", size=4), descriptor("same", size=5)]

    assert "two different sizes" in _refusal(encode(oci_image(layers=layers))).reason
    assert "two different sizes" in _refusal(encode(oci_index(manifests=layers))).reason


@pytest.mark.parametrize("version", [..., None, 0, 3, "2", 2.0, True, [2]])
def test_schema_version_must_be_the_number_two(version: object) -> None:
    assert _refusal(encode(oci_image(schemaVersion=version))).path == "$.schemaVersion"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (oci_image(config=...), "$"),
        (oci_image(layers=...), "$"),
        (oci_index(manifests=...), "$"),
        (oci_image(config=None), "$.config"),
        (oci_image(config=[]), "$.config"),
        (oci_image(layers={}), "$.layers"),
        (oci_image(layers=["x"]), "$.layers[0]"),
        (oci_index(manifests="x"), "$.manifests"),
        (oci_image(subject="x"), "$.subject"),
        (oci_image(subject={}), "$.subject"),
        (oci_image(annotations=[]), "$.annotations"),
        (oci_image(annotations={"k": 1}), "$.annotations[...]"),
        (oci_image(annotations={"k": None}), "$.annotations[...]"),
        (oci_image(artifactType=1), "$.artifactType"),
        (oci_image(artifactType="a" * 256), "$.artifactType"),
    ],
)
def test_members_that_are_missing_or_of_the_wrong_type_are_refused_with_their_path(
    document: dict[str, Any], path: str
) -> None:
    assert _refusal(encode(document)).path == path


@pytest.mark.parametrize(
    ("member", "value", "path"),
    [
        ("mediaType", 1, ".mediaType"),
        ("mediaType", "", ".mediaType"),
        ("mediaType", "a" * 256, ".mediaType"),
        ("digest", None, ".digest"),
        ("digest", "", ".digest"),
        ("digest", digest_of("x").upper(), ".digest"),
        ("digest", digest_of("x")[:-1], ".digest"),
        ("digest", f"{digest_of('x')}\n", ".digest"),
        ("digest", "sha1:" + "a" * 40, ".digest"),
        ("digest", "sha256:../../../../etc/passwd", ".digest"),
        ("size", -1, ".size"),
        ("size", 2**63, ".size"),
        ("size", 1.0, ".size"),
        ("size", "1", ".size"),
        ("size", True, ".size"),
        ("size", None, ".size"),
        ("urls", "https://example.com", ".urls"),
        ("urls", [1], ".urls[0]"),
        ("annotations", ["a"], ".annotations"),
        ("annotations", {"a": {}}, ".annotations[...]"),
        ("artifactType", {}, ".artifactType"),
    ],
)
@pytest.mark.parametrize("place", ["config", "subject", "layers", "manifests"])
def test_s33_a_descriptor_is_checked_wherever_it_stands(
    place: str, member: str, value: Any, path: str
) -> None:
    broken = descriptor("content", **{member: value})
    document, where = {
        "config": (oci_image(config=broken), "$.config"),
        "subject": (oci_image(subject=broken), "$.subject"),
        "layers": (oci_image(layers=[descriptor("fine"), broken]), "$.layers[1]"),
        "manifests": (oci_index(manifests=[broken]), "$.manifests[0]"),
    }[place]

    assert _refusal(encode(document)).path == where + path


@pytest.mark.parametrize("member", ["mediaType", "digest", "size"])
def test_a_descriptor_without_a_required_member_is_refused(member: str) -> None:
    broken = {name: value for name, value in descriptor("content").items() if name != member}
    refusal = _refusal(encode(oci_image(layers=[broken])))

    assert (refusal.reason, refusal.path) == (f"Object missing required field `{member}`", "$.layers[0]")


@pytest.mark.parametrize("body", [b"[]", b'"manifest"', b"2", b"null"])
def test_a_document_that_is_no_object_is_refused(body: bytes) -> None:
    assert _refusal(body, OCI_IMAGE_MANIFEST).reason == "a manifest is a JSON object"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        OCI_ARTIFACT_MANIFEST,
        f"{OCI_IMAGE_MANIFEST}, {OCI_IMAGE_INDEX}",
        "\ud800\x1b[31m" + "x" * 10_000,
    ],
)
def test_an_unsupported_content_type_is_refused_with_the_accepted_ones(content_type: str) -> None:
    with pytest.raises(UnsupportedManifestError) as caught:
        parse_manifest(encode(oci_image()), content_type)

    assert all(accepted in caught.value.reason for accepted in ACCEPTED_MANIFEST_TYPES)
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 1500


def test_an_unsupported_content_type_is_quoted_as_it_was_sent_s27() -> None:
    """A secret whose capitals are lost is not known as one, and its checksum tells which they were."""
    with pytest.raises(UnsupportedManifestError) as caught:
        parse_manifest(encode(oci_image()), "application/ept_AbC")

    assert "application/ept_AbC" in caught.value.reason


def test_an_unsupported_type_of_the_body_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(UnsupportedManifestError) as caught:
        parse_manifest(encode(oci_image(mediaType="application/json")), None)

    assert caught.value.media_type == "application/json"
    assert OCI_IMAGE_INDEX in caught.value.reason


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ({"schemaVersion": 1}, DOCKER_MANIFEST_SCHEMA1),
        ({"schemaVersion": 1}, f"{DOCKER_MANIFEST_SCHEMA1_SIGNED}; charset=utf-8"),
        ({"schemaVersion": 1, "mediaType": DOCKER_MANIFEST_SCHEMA1}, None),
        ({"schemaVersion": 1, "name": "x", "fsLayers": []}, None),
        ({"schemaVersion": 1, "fsLayers": []}, DOCKER_MANIFEST),
        (oci_image(schemaVersion=1), OCI_IMAGE_MANIFEST),
        (oci_image(fsLayers=[]), OCI_IMAGE_MANIFEST),
    ],
)
def test_docker_schema_1_is_refused_with_advice(body: dict[str, Any], content_type: str | None) -> None:
    with pytest.raises(UnsupportedManifestError) as caught:
        parse_manifest(encode(body), content_type)

    assert caught.value.reason.startswith(
        "Docker image manifest schema 1 is not accepted: push the image again"
    )


def test_s36_a_manifest_of_four_mebibytes_is_read_and_one_byte_more_is_not() -> None:
    body = encode(oci_image())
    largest = body + b" " * (MAX_MANIFEST_BYTES - len(body))

    assert parse_manifest(largest, OCI_IMAGE_MANIFEST).media_type == OCI_IMAGE_MANIFEST
    with pytest.raises(ManifestTooLargeError) as caught:
        parse_manifest(largest + b" ", OCI_IMAGE_MANIFEST)
    assert caught.value.limit == MAX_MANIFEST_BYTES


def test_what_json_refuses_is_an_invalid_manifest() -> None:
    assert "is no JSON" in _refusal(b"{", OCI_IMAGE_MANIFEST).reason
    assert "NaN" in _refusal(b'{"a": NaN}', OCI_IMAGE_MANIFEST).reason


@pytest.mark.parametrize(
    "data",
    ["", "bG93ZX", "bG93ZXI", "bG9 3ZXI=", "bG93ZXI=\n", "*", "\u00e9", "dXBwZXI=", "bG93ZXIy"],
    ids=["empty", "cut", "unpadded", "space", "newline", "no base64", "no ascii", "other content", "longer"],
)
@pytest.mark.parametrize("place", ["config", "layers", "subject", "manifests"])
def test_s32_embedded_data_must_be_the_content_that_is_named(data: str, place: str) -> None:
    entry = descriptor("lower", OCI_IMAGE_MANIFEST, data=data)
    members: dict[str, Any] = {place: entry if place in {"config", "subject"} else [entry]}
    body = oci_index(**members) if place == "manifests" else oci_image(**members)

    assert _refusal(encode(body)).path.startswith(f"$.{place}")


@pytest.mark.parametrize("data", ["bG93ZXI=", None, ...], ids=["right", "null", "absent"])
def test_embedded_data_may_be_there(data: object) -> None:
    entry = descriptor("lower")
    if data is not ...:
        entry["data"] = data

    assert parse_manifest(encode(oci_image(layers=[entry])), None).layers[0].size == 5


def test_embedded_data_that_is_no_text_is_refused() -> None:
    assert _refusal(encode(oci_image(config=descriptor("config", data=[1])))).path == "$.config.data"

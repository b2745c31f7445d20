"""What a registry learns from a well-formed manifest or index."""

from __future__ import annotations

import pytest

from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse_manifest
from entrepot.oci.media_types import (
    DOCKER_FOREIGN_LAYER_GZIP,
    DOCKER_IMAGE_CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_MANIFEST_SCHEMA1,
    NON_DISTRIBUTABLE_LAYER_TYPES,
    OCI_EMPTY,
    OCI_IMAGE_CONFIG,
    OCI_IMAGE_INDEX,
    OCI_IMAGE_MANIFEST,
)
from tests.unit.oci.manifest_samples import (
    OCI_LAYER,
    descriptor,
    digest_of,
    docker_image,
    docker_list,
    encode,
    oci_image,
    oci_index,
)


def _named(name: str, media_type: str = OCI_LAYER) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.parse(digest_of(name)), size=len(name))


def test_an_image_manifest_refers_to_its_config_and_then_its_layers_in_order() -> None:
    manifest = parse_manifest(encode(oci_image()), OCI_IMAGE_MANIFEST)

    assert manifest.media_type == OCI_IMAGE_MANIFEST
    assert manifest.config == _named("config", OCI_IMAGE_CONFIG)
    assert manifest.layers == (_named("lower"), _named("upper"))
    assert manifest.blob_references == (_named("config", OCI_IMAGE_CONFIG), _named("lower"), _named("upper"))
    assert manifest.children == ()
    assert not manifest.is_index


def test_an_index_refers_to_its_children_in_order_and_to_no_blob() -> None:
    index = parse_manifest(encode(oci_index()), OCI_IMAGE_INDEX)

    assert index.children == (_named("amd64", OCI_IMAGE_MANIFEST), _named("arm64", OCI_IMAGE_MANIFEST))
    assert index.manifests == index.children
    assert index.blob_references == ()
    assert index.config is None
    assert index.layers == ()
    assert index.is_index


def test_a_docker_image_manifest_is_read_alike() -> None:
    manifest = parse_manifest(encode(docker_image()), DOCKER_MANIFEST)

    assert manifest.media_type == DOCKER_MANIFEST
    assert [str(blob.digest) for blob in manifest.blob_references] == [
        digest_of("config"),
        digest_of("layer"),
    ]
    assert manifest.artifact_type == DOCKER_IMAGE_CONFIG


def test_a_docker_manifest_list_is_read_alike() -> None:
    index = parse_manifest(encode(docker_list()), DOCKER_MANIFEST_LIST)

    assert index.children == (_named("amd64", DOCKER_MANIFEST),)
    assert index.is_index


@pytest.mark.parametrize("layers", [[], None])
def test_an_image_may_have_no_layers_also_as_null_which_go_writes(layers: object) -> None:
    manifest = parse_manifest(encode(oci_image(layers=layers)), OCI_IMAGE_MANIFEST)

    assert manifest.layers == ()
    assert manifest.blob_references == (_named("config", OCI_IMAGE_CONFIG),)


@pytest.mark.parametrize("manifests", [[], None])
def test_an_index_may_list_nothing(manifests: object) -> None:
    assert parse_manifest(encode(oci_index(manifests=manifests)), OCI_IMAGE_INDEX).children == ()


def test_an_artifact_with_the_empty_config_as_its_only_layer_refers_to_it_once() -> None:
    empty = {"mediaType": OCI_EMPTY, "digest": str(Digest.of_bytes(b"{}")), "size": 2, "data": "e30="}
    body = encode(oci_image(config=empty, layers=[empty], artifactType="application/vnd.example.sbom"))

    manifest = parse_manifest(body, OCI_IMAGE_MANIFEST)

    assert manifest.blob_references == (Descriptor(OCI_EMPTY, Digest.of_bytes(b"{}"), 2),)
    assert manifest.artifact_type == "application/vnd.example.sbom"


def test_a_layer_that_occurs_twice_is_referred_to_once_at_its_first_place() -> None:
    body = encode(oci_image(layers=[descriptor("upper"), descriptor("lower"), descriptor("upper")]))

    manifest = parse_manifest(body, OCI_IMAGE_MANIFEST)

    assert len(manifest.layers) == 3
    assert manifest.blob_references == (_named("config", OCI_IMAGE_CONFIG), _named("upper"), _named("lower"))


@pytest.mark.parametrize("media_type", sorted(NON_DISTRIBUTABLE_LAYER_TYPES))
def test_a_non_distributable_layer_is_no_required_blob_but_still_known(media_type: str) -> None:
    foreign = descriptor("windows", media_type, urls=["https://example.com/layer"])
    body = encode(oci_image(layers=[foreign, descriptor("own"), foreign]))

    manifest = parse_manifest(body, OCI_IMAGE_MANIFEST)

    assert manifest.blob_references == (_named("config", OCI_IMAGE_CONFIG), _named("own"))
    assert [layer.media_type for layer in manifest.non_distributable_layers] == [media_type]
    assert manifest.layers[0].urls == ("https://example.com/layer",)


def test_a_blob_named_both_as_distributable_and_as_foreign_is_required() -> None:
    body = encode(oci_image(layers=[descriptor("both", DOCKER_FOREIGN_LAYER_GZIP), descriptor("both")]))

    manifest = parse_manifest(body, OCI_IMAGE_MANIFEST)

    assert manifest.blob_references == (_named("config", OCI_IMAGE_CONFIG), _named("both"))


def test_an_index_may_list_indexes_and_blobs_which_are_told_apart() -> None:
    cache = "application/vnd.buildkit.cacheconfig.v0"
    entries = [descriptor("nested", OCI_IMAGE_INDEX), descriptor("layer"), descriptor("cache", cache)]

    index = parse_manifest(encode(oci_index(manifests=entries)), OCI_IMAGE_INDEX)

    assert index.children == (_named("nested", OCI_IMAGE_INDEX),)
    assert index.blob_references == (_named("layer"), _named("cache", cache))


def test_an_index_entry_of_a_manifest_type_that_is_refused_is_still_a_child_and_no_blob() -> None:
    index = parse_manifest(
        encode(oci_index(manifests=[descriptor("old", DOCKER_MANIFEST_SCHEMA1)])), OCI_IMAGE_INDEX
    )

    assert index.children == (_named("old", DOCKER_MANIFEST_SCHEMA1),)
    assert index.blob_references == ()


def test_a_config_of_a_manifest_type_is_a_blob_all_the_same() -> None:
    body = encode(oci_image(config=descriptor("odd", OCI_IMAGE_MANIFEST), layers=[]))

    assert parse_manifest(body, OCI_IMAGE_MANIFEST).blob_references == (_named("odd", OCI_IMAGE_MANIFEST),)


@pytest.mark.parametrize("document", [oci_image, oci_index])
def test_a_subject_is_read_in_both_oci_types(document: type[dict[str, object]]) -> None:
    body = encode(document(subject=descriptor("signed", OCI_IMAGE_MANIFEST)))

    assert parse_manifest(body, None).subject == _named("signed", OCI_IMAGE_MANIFEST)


@pytest.mark.parametrize("document", [docker_image, docker_list])
def test_docker_types_have_neither_subject_nor_artifact_type(document: type[dict[str, object]]) -> None:
    body = encode(document(subject=descriptor("signed"), artifactType="application/vnd.example"))

    manifest = parse_manifest(body, None)

    assert manifest.subject is None
    assert manifest.artifact_type in {None, DOCKER_IMAGE_CONFIG}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (oci_image(artifactType="application/vnd.example"), "application/vnd.example"),
        (oci_image(), OCI_IMAGE_CONFIG),
        (oci_image(artifactType=""), OCI_IMAGE_CONFIG),
        (oci_image(artifactType=None), OCI_IMAGE_CONFIG),
        (oci_index(artifactType="application/vnd.example"), "application/vnd.example"),
        (oci_index(), None),
        (oci_index(artifactType=""), None),
    ],
)
def test_artifact_type_falls_back_to_the_config_type_in_images_only(
    body: dict[str, object], expected: str | None
) -> None:
    assert parse_manifest(encode(body), None).artifact_type == expected


def test_annotations_are_read_and_none_are_an_empty_mapping() -> None:
    annotated = encode(oci_image(annotations={"org.opencontainers.image.title": "été", "Size": "1"}))

    assert parse_manifest(annotated, None).annotations == {
        "org.opencontainers.image.title": "été",
        "Size": "1",
    }
    assert parse_manifest(encode(oci_image()), None).annotations == {}
    assert parse_manifest(encode(oci_image(annotations=None)), None).annotations == {}


def test_what_a_descriptor_says_beyond_its_content_is_read() -> None:
    layer = descriptor("l", artifactType="a/b", annotations={"k": "v"}, urls=["https://example.com/l"])

    (read,) = parse_manifest(encode(oci_image(layers=[layer])), None).layers

    assert read == Descriptor(
        media_type=OCI_LAYER,
        digest=Digest.parse(digest_of("l")),
        size=1,
        artifact_type="a/b",
        urls=("https://example.com/l",),
        annotations={"k": "v"},
    )


def test_unknown_members_are_ignored_everywhere() -> None:
    layer = descriptor("l", data="bA==", platform={"os": "plan9"}, extra={"deep": [1, 2.5, True, None]})
    body = encode(oci_image(layers=[layer], history=[], extra=2.5e300, **{"com.example": {"x": []}}))

    assert parse_manifest(body, None).layers == (_named("l"),)


def test_sha512_digests_are_accepted() -> None:
    digest = Digest.of_bytes(b"layer", "sha512")
    body = encode(oci_image(layers=[descriptor("layer", digest=str(digest))]))

    assert parse_manifest(body, None).layers[0].digest == digest


def test_sizes_of_zero_and_of_the_largest_64_bit_number_are_accepted() -> None:
    layers = [descriptor("none", size=0), descriptor("huge", size=2**63 - 1)]

    manifest = parse_manifest(encode(oci_image(layers=layers)), None)

    assert [layer.size for layer in manifest.layers] == [0, 2**63 - 1]

"""The table of kinds: every shape of content that a conforming registry takes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from tests.conformance.data import (
    ARTIFACT,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY,
    GZIP_LAYER,
    INDEX,
    LAYER,
    OTHER_ARTIFACT,
    Builder,
    Kind,
    Naming,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.digests import Algorithm

__all__ = ["KINDS", "NEEDS_DEV_LEVEL", "SPARSE_KINDS"]

_ANNOTATIONS: Final = {"org.opencontainers.image.created": "2026-01-01T00:00:00Z", "org.example.note": 'ä"/<'}


def _image() -> Kind:
    builder = Builder("image")
    builder.image("latest")
    return builder.finish()


def _uncompressed_image() -> Kind:
    builder = Builder("uncompressed-image")
    builder.image("uncompressed", layer_types=(LAYER, LAYER))
    return builder.finish()


def _zstd_image() -> Kind:
    builder = Builder("zstd-image")
    builder.image("zstd", layer_types=(f"{LAYER}+zstd",))
    return builder.finish()


def _image_without_layers() -> Kind:
    builder = Builder("image-without-layers")
    builder.image("no-layers", layer_types=())
    return builder.finish()


def _large_manifest() -> Kind:
    """A little over the four million bytes that a registry should take."""
    builder = Builder("large-manifest")
    builder.image("large", annotations={f"org.example.{number}": "A" * 9_900 for number in range(404)})
    return builder.finish()


def _repeated_layer() -> Kind:
    builder = Builder("repeated-layer")
    layer = builder.layer()
    layers = [layer, layer, layer]
    builder.image_of(builder.config("amd64", layers), layers, "repeated")
    return builder.finish()


def _empty_blob() -> Kind:
    builder = Builder("empty-blob")
    layers = [builder.blob(LAYER, b""), builder.layer()]
    builder.image_of(builder.config("amd64", layers), layers, "empty-blob")
    return builder.finish()


def _index() -> Kind:
    builder = Builder("index")
    builder.platforms("multi")
    return builder.finish()


def _nested_index() -> Kind:
    builder = Builder("nested-index")
    inner = [builder.platforms().descriptor() for _ in range(2)]
    builder.index(inner, "nested")
    return builder.finish()


def _empty_index() -> Kind:
    builder = Builder("empty-index")
    builder.index([], "empty")
    return builder.finish()


def _artifact() -> Kind:
    builder = Builder("artifact")
    builder.artifact(ARTIFACT, "artifact")
    return builder.finish()


def _artifact_without_layers() -> Kind:
    builder = Builder("artifact-without-layers")
    builder.image_of(builder.empty(), [builder.empty()], "bare-artifact", artifactType=ARTIFACT)
    return builder.finish()


def _artifact_by_config() -> Kind:
    """An artifact of the time before `artifactType`: its type is that of its configuration."""
    builder = Builder("artifact-by-config")
    config = builder.blob(OTHER_ARTIFACT, b'{"kind": "signature"}')
    builder.image_of(config, [builder.layer()], "old-artifact")
    return builder.finish()


def _artifact_index() -> Kind:
    builder = Builder("artifact-index")
    parts = [builder.artifact(kind).descriptor(artifactType=kind) for kind in (ARTIFACT, OTHER_ARTIFACT)]
    builder.index(parts, "artifacts", artifactType=ARTIFACT)
    return builder.finish()


def _subject() -> Kind:
    builder = Builder("subject")
    subject = builder.image("subject").descriptor()
    builder.image(subject=subject, architecture="arm64")
    builder.artifact(ARTIFACT, "tagged-artifact", subject=subject, annotations=_ANNOTATIONS)
    builder.artifact(OTHER_ARTIFACT, subject=subject)
    return builder.finish()


def _index_with_subject() -> Kind:
    builder = Builder("index-with-subject")
    subject = builder.platforms("subject").descriptor()
    builder.platforms(subject=subject, artifactType=ARTIFACT, annotations=_ANNOTATIONS)
    builder.index([], "untyped", subject=subject)
    return builder.finish()


def _missing_subject() -> Kind:
    builder = Builder("missing-subject")
    subject = builder.absent(INDEX)
    builder.artifact(ARTIFACT, "early", subject=subject, annotations=_ANNOTATIONS)
    return builder.finish()


def _data_field() -> Kind:
    """Descriptors that carry their content (image-spec, descriptor.md, "Embedded Content")."""
    builder = Builder("data-field")
    content = b'{"small": "enough to be carried along"}'
    layer = builder.blob(ARTIFACT, content, data=base64.b64encode(content).decode())
    config = builder.blob(EMPTY, b"{}", data=base64.b64encode(b"{}").decode())
    builder.image_of(config, [layer], "data", artifactType=ARTIFACT)
    return builder.finish()


def _non_distributable() -> Kind:
    """Layers that were never pushed and needn't be (image-spec, layer.md, "Non-Distributable Layers")."""
    builder = Builder("non-distributable-layers")
    prefix = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    elsewhere = [
        builder.absent(media_type, urls=["https://layers.example.com/one"])
        for media_type in (prefix, f"{prefix}+gzip", f"{prefix}+zstd")
    ]
    layers = [*elsewhere, builder.layer()]
    builder.image_of(builder.config("amd64", layers), layers, "elsewhere")
    return builder.finish()


def _custom_fields() -> Kind:
    """Members that no specification knows, at every level (image-spec, considerations.md, "Extensibility")."""
    builder = Builder("custom-fields")
    layer = {**builder.layer(GZIP_LAYER), "org.example.extra": [1, {"deep": None}]}
    config = builder.config("amd64", [layer], **{"org.example.extra": True})
    image = builder.image_of(config, [layer], **{"org.example.extra": {"a": 1.5}})
    builder.index([image.descriptor(**{"org.example.extra": "x"})], "custom", **{"org.example.extra": ""})
    return builder.finish()


def _docker_image() -> Kind:
    """What Docker Engine pushes: schema 2 and its list."""
    builder = Builder("docker-image")
    layer = {**builder.layer(), "mediaType": DOCKER_LAYER}
    config = {**builder.config("amd64", [layer]), "mediaType": DOCKER_CONFIG}
    image = builder.manifest(DOCKER_MANIFEST, {"config": config, "layers": [layer]}, ("v2",), DOCKER_CONFIG)
    platform = {"architecture": "amd64", "os": "linux"}
    builder.manifest(DOCKER_LIST, {"manifests": [image.descriptor(platform=platform)]}, ("list",), None)
    return builder.finish()


def _sha512() -> Kind:
    """Untagged: without `tag` parameters a tag can only be pushed under the registry's own algorithm."""
    builder = Builder("sha512", "sha512")
    builder.platforms()
    return builder.finish()


def _sha512_artifacts() -> Kind:
    builder = Builder("sha512-subject", "sha512")
    subject = builder.image().descriptor()
    builder.artifact(ARTIFACT, subject=subject, annotations=_ANNOTATIONS)
    builder.index([], subject=subject)
    return builder.finish()


def _sha512_variety() -> Kind:
    """The other shapes once more, all of them named by sha512."""
    builder = Builder("sha512-variety", "sha512")
    inner = builder.platforms()
    builder.index([inner.descriptor()])
    builder.artifact(ARTIFACT, subject=builder.absent(INDEX))
    layers = [
        builder.blob(LAYER, b""),
        builder.absent("application/vnd.oci.image.layer.nondistributable.v1.tar"),
    ]
    builder.image_of(builder.config("amd64", layers), layers)
    return builder.finish()


def _tag_parameters(algorithm: Algorithm) -> Callable[[], Kind]:
    def build() -> Kind:
        builder = Builder(f"tag-parameters-{algorithm}", algorithm)
        image = builder.image("1.2.3", "latest").descriptor()
        builder.index([image], "multi", f"v{'9' * 127}")
        return builder.finish(Naming.BY_PARAMETER)

    return build


def _sparse_image() -> Kind:
    builder = Builder("sparse-image")
    layers = [builder.layer(), builder.absent(GZIP_LAYER)]
    builder.image_of(builder.config("amd64", layers), layers, "sparse")
    return builder.finish()


def _sparse_index() -> Kind:
    builder = Builder("sparse-index")
    here = builder.image().descriptor(platform={"os": "linux", "architecture": "amd64"})
    there = builder.absent(
        "application/vnd.oci.image.manifest.v1+json", platform={"os": "linux", "architecture": "arm64"}
    )
    builder.index([here, there], "sparse")
    return builder.finish()


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        build()
        for build in (
            *(_image, _uncompressed_image, _zstd_image, _image_without_layers, _large_manifest),
            *(_repeated_layer, _empty_blob, _index, _nested_index, _empty_index),
            *(_artifact, _artifact_without_layers, _artifact_by_config, _artifact_index),
            *(_subject, _index_with_subject, _missing_subject),
            *(_data_field, _non_distributable, _custom_fields, _docker_image),
            *(_sha512, _sha512_artifacts, _sha512_variety),
            *(_tag_parameters("sha256"), _tag_parameters("sha512")),
        )
    )
}
"""Everything a registry takes without being told to."""

NEEDS_DEV_LEVEL: Final = frozenset(kind.name for kind in KINDS.values() if kind.naming is Naming.BY_PARAMETER)

SPARSE_KINDS: Final = {kind.name: kind for kind in (_sparse_image(), _sparse_index())}
"""Manifests that name content nobody pushed: refused, or taken by setting."""

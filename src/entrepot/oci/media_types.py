"""The media types this registry tells apart (OCI image-spec, media-types.md; Docker schema 2)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACCEPTED_MANIFEST_TYPES",
    "DOCKER_FOREIGN_LAYER",
    "DOCKER_FOREIGN_LAYER_GZIP",
    "DOCKER_IMAGE_CONFIG",
    "DOCKER_MANIFEST",
    "DOCKER_MANIFEST_LIST",
    "DOCKER_MANIFEST_SCHEMA1",
    "DOCKER_MANIFEST_SCHEMA1_SIGNED",
    "DOCKER_PLUGIN_CONFIG",
    "DOCKER_TYPES",
    "INDEX_TYPES",
    "MANIFEST_TYPES",
    "NON_DISTRIBUTABLE_LAYER_TYPES",
    "OCI_ARTIFACT_MANIFEST",
    "OCI_EMPTY",
    "OCI_IMAGE_CONFIG",
    "OCI_IMAGE_INDEX",
    "OCI_IMAGE_MANIFEST",
    "OCI_NON_DISTRIBUTABLE_LAYER",
    "OCI_NON_DISTRIBUTABLE_LAYER_GZIP",
    "OCI_NON_DISTRIBUTABLE_LAYER_ZSTD",
    "SCHEMA1_TYPES",
    "UNACCEPTED_MANIFEST_TYPES",
]

OCI_IMAGE_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_IMAGE_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT_MANIFEST: Final = "application/vnd.oci.artifact.manifest.v1+json"
"""Withdrawn before image-spec 1.1 was released; known so that it can be refused by name."""

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_MANIFEST_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCI_IMAGE_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
"""The two bytes `{}`: what an artifact names where it has no config or no layer to name."""
DOCKER_IMAGE_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_PLUGIN_CONFIG: Final = "application/vnd.docker.plugin.v1+json"

OCI_NON_DISTRIBUTABLE_LAYER: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_NON_DISTRIBUTABLE_LAYER_GZIP: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
OCI_NON_DISTRIBUTABLE_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

NON_DISTRIBUTABLE_LAYER_TYPES: Final = frozenset(
    {
        OCI_NON_DISTRIBUTABLE_LAYER,
        OCI_NON_DISTRIBUTABLE_LAYER_GZIP,
        OCI_NON_DISTRIBUTABLE_LAYER_ZSTD,
        DOCKER_FOREIGN_LAYER,
        DOCKER_FOREIGN_LAYER_GZIP,
    }
)
"""Layers whose bytes may lie elsewhere (their `urls`): a registry must not insist on holding them."""

MANIFEST_TYPES: Final = frozenset({OCI_IMAGE_MANIFEST, DOCKER_MANIFEST})
"""Types that describe one image: a config and layers."""

INDEX_TYPES: Final = frozenset({OCI_IMAGE_INDEX, DOCKER_MANIFEST_LIST})
"""Types that list other manifests."""

DOCKER_TYPES: Final = frozenset({DOCKER_MANIFEST, DOCKER_MANIFEST_LIST})
"""Types whose body must repeat its own media type, and which know neither `subject` nor `artifactType`."""

ACCEPTED_MANIFEST_TYPES: Final = MANIFEST_TYPES | INDEX_TYPES
"""Everything that may be pushed as a manifest."""

SCHEMA1_TYPES: Final = frozenset({DOCKER_MANIFEST_SCHEMA1, DOCKER_MANIFEST_SCHEMA1_SIGNED})

UNACCEPTED_MANIFEST_TYPES: Final = SCHEMA1_TYPES | {OCI_ARTIFACT_MANIFEST}
"""Types known to be manifests that are nevertheless refused."""

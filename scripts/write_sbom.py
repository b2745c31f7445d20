"""A CycloneDX 1.6 bill of materials for a folder of wheels, from what the wheels themselves declare."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import Message
    from pathlib import Path

__all__ = ["Wheel", "read_wheel", "sbom_of"]

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/schema/bom-1.6.schema.json")
_LICENCE_CLASSIFIER: Final = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True)
class Wheel:
    """What one wheel says of itself, and the SHA-256 of its bytes in hexadecimal."""

    name: str
    version: str
    file_name: str
    sha256: str
    summary: str
    licences: tuple[dict[str, Any], ...]
    requires: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Return the package URL (purl-spec, type pypi)."""
        return f"pkg:pypi/{self.name}@{self.version}"


def canonical_name(name: str) -> str:
    """Return a project name as packaging compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licences_of(metadata: Message, texts: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Return the declared licence: an SPDX expression, else the classifiers, else the first line of free text.

    Where nothing is declared, the titles of the licence files in `texts` have to do.
    """
    expression = metadata.get("License-Expression")
    if expression:
        return ({"expression": expression},)
    classifiers: list[str] = metadata.get_all("Classifier", [])
    names = [
        text.removeprefix(_LICENCE_CLASSIFIER) for text in classifiers if text.startswith(_LICENCE_CLASSIFIER)
    ]
    if not names and metadata.get("License"):
        names = [metadata["License"].strip().splitlines()[0]]
    names = names or [title_of(text) for text in texts]
    return tuple({"license": {"name": name}} for name in names)


def title_of(text: str) -> str:
    """Return the name that a licence gives itself in its first paragraph, as `Apache License Version 2.0`."""
    return " ".join(text.strip().split("\n\n")[0].split()[:4]).rstrip(",")


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's METADATA (core metadata specification); raise KeyError when it has no name or version."""
    with zipfile.ZipFile(path) as archive:
        inside = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        metadata = HeaderParser().parsestr(archive.read(inside).decode())
        folder = inside.removesuffix("METADATA") + "licenses/"
        texts = [archive.read(name).decode() for name in archive.namelist() if name.startswith(folder)]
    requirements: list[str] = metadata.get_all("Requires-Dist", [])
    names = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return Wheel(
        name=canonical_name(metadata["Name"]),
        version=metadata["Version"],
        file_name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        summary=metadata.get("Summary", ""),
        licences=licences_of(metadata, texts),
        requires=tuple(sorted({canonical_name(name.group()) for name in names if name})),
    )


def component_of(wheel: Wheel, kind: str) -> dict[str, Any]:
    """Return a wheel as a CycloneDX component."""
    return {
        "type": kind,
        "bom-ref": wheel.reference,
        "name": wheel.name,
        "version": wheel.version,
        "description": wheel.summary,
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": list(wheel.licences),
        "purl": wheel.reference,
        "properties": [{"name": "entrepot:wheel", "value": wheel.file_name}],
    }


def sbom_of(wheels: list[Wheel], product: str) -> str:
    """Return the bill of materials of `wheels`, of which `product` is the subject, as JSON.

    The same wheels give the same bytes: there is no time in it, and the serial number follows from the hashes.
    """
    wheels = sorted(wheels, key=lambda wheel: wheel.name)
    by_name = {wheel.name: wheel for wheel in wheels}
    content = "\n".join(f"{wheel.reference} {wheel.sha256}" for wheel in wheels)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": {"component": component_of(by_name[product], "application")},
        "components": [component_of(wheel, "library") for wheel in wheels if wheel.name != product],
        "dependencies": [
            {
                "ref": wheel.reference,
                "dependsOn": [by_name[name].reference for name in wheel.requires if name in by_name],
            }
            for wheel in wheels
        ],
    }
    return json.dumps(document, indent=2) + "\n"

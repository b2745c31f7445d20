"""The rows of the table: kind by what it contains, as parameters of the tests that run along it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.kinds import KINDS, NEEDS_DEV_LEVEL
from tests.running.setups import Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.conformance.data import Blob, Kind

__all__ = ["each_blob", "each_kind", "each_manifest", "each_subject", "each_tag", "in_both_setups"]

in_both_setups: Final = pytest.mark.parametrize(
    "setup", [Setup.SQLITE_FILESYSTEM, Setup.POSTGRESQL_S3], ids=str, indirect=True, scope="session"
)
"""Run a module's tests on the two outermost setups; tests/blackbox goes through all four."""

Row = tuple[str, tuple[object, ...]]
"""The name of a case within its kind, and its parameters besides the kind."""


def each_kind() -> pytest.MarkDecorator:
    """Run a test once per kind."""
    return _rows("kind", lambda _: [("", ())])


def each_blob() -> pytest.MarkDecorator:
    """Run a test once per blob of each kind."""
    return _rows("kind, blob", lambda kind: [(_name(blob), (blob,)) for blob in kind.blobs])


def each_manifest() -> pytest.MarkDecorator:
    """Run a test once per manifest of each kind."""

    def rows(kind: Kind) -> list[Row]:
        return [(f"manifest-{place}", (manifest,)) for place, manifest in enumerate(kind.manifests)]

    return _rows("kind, manifest", rows)


def each_tag() -> pytest.MarkDecorator:
    """Run a test once per tag of each kind, with the manifest it points at."""

    def rows(kind: Kind) -> list[Row]:
        return [(tag[:20], (tag, manifest)) for tag, manifest in kind.tags.items()]

    return _rows("kind, tag, manifest", rows)


def each_subject() -> pytest.MarkDecorator:
    """Run a test once per digest that manifests of a kind name as their subject."""
    return _rows("kind, subject", lambda kind: [("subject", (digest,)) for digest in kind.subjects])


def _rows(names: str, rows_of: Callable[[Kind], Iterable[Row]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        names,
        [
            pytest.param(
                kind.name,
                *values,
                id=f"{kind.name}-{name}" if name else kind.name,
                marks=[pytest.mark.dev_level] if kind.name in NEEDS_DEV_LEVEL else [],
            )
            for kind in KINDS.values()
            for name, values in rows_of(kind)
        ],
    )


def _name(blob: Blob) -> str:
    return f"blob-{blob.digest.partition(':')[2][:8]}"

"""A data directory keeps one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.kernel.node_id import read_or_create_node_id

if TYPE_CHECKING:
    from pathlib import Path


def test_the_id_is_made_once_and_kept(tmp_path: Path) -> None:
    """The first call makes it, later ones return the same; nothing else is left in the directory."""
    first = read_or_create_node_id(tmp_path / "data")

    assert len(first) == 32
    assert read_or_create_node_id(tmp_path / "data") == first
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["node-id"]


def test_another_directory_has_another_id(tmp_path: Path) -> None:
    """Two nodes never share a name."""
    assert read_or_create_node_id(tmp_path / "a") != read_or_create_node_id(tmp_path / "b")

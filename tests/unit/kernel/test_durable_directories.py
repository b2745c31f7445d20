"""New directories are named durably, in the order in which a power cut could part them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from entrepot.kernel.durable_directories import create_directory
from entrepot.kernel.node_id import read_or_create_node_id


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was fsynced, in order; the real call is made too."""
    paths: list[Path] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return paths


def test_f2_each_new_name_is_synced_from_the_top_down(tmp_path: Path, synced: list[Path]) -> None:
    """The directory that holds a new name is synced, for each new one; its mode is as asked for."""
    create_directory(tmp_path / "a" / "b" / "c", 0o700)

    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_is_there_costs_nothing(tmp_path: Path, synced: list[Path]) -> None:
    """What others created is theirs to sync, and its parent need not be ours to open."""
    create_directory(tmp_path, 0o700)

    assert synced == []


def test_f2_the_id_of_a_node_is_synced_before_it_is_named(tmp_path: Path, synced: list[Path]) -> None:
    """Its bytes first, then its name: a power cut leaves the whole id, or none and nobody who used it."""
    read_or_create_node_id(tmp_path)

    draft, directory = synced
    assert draft.name == f"node-id.{os.getpid()}"
    assert directory == tmp_path
    read_or_create_node_id(tmp_path)
    assert len(synced) == 2

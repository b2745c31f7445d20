"""What a prune reads of the snapshots before it decides which of them go."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import SNAPSHOTS, snapshot_manifest_key
from tests.asgi.small_images import push_blob
from tests.integration.backed_up import filled, on_registry, stored_blobs
from tests.running.backups import BackupCommands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LATER = b"pushed later"


@pytest.fixture
def commands(tmp_path: Path) -> BackupCommands:
    """Commands for a registry that is there."""
    return BackupCommands(tmp_path / "data", str(tmp_path / "backup"))


def _snapshots(commands: BackupCommands) -> tuple[str, list[str]]:
    """Take a complete snapshot, and three incomplete ones after it."""
    filled(commands)
    complete = str(commands.run("create").report["id"])
    on_registry(commands.data, lambda registry: push_blob(registry.client, _LATER))
    (lost,) = [path for path in stored_blobs(commands.data / "storage") if path.read_bytes() == _LATER]
    lost.write_bytes(_LATER[::-1])
    return complete, [str(commands.run("create").report["id"]) for _ in range(3)]


def test_a_prune_reads_each_manifest_once_and_of_what_stays_the_lists(
    commands: BackupCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of many rows is long; those that stay are read once more, for the blobs that they mention."""
    complete, incomplete = _snapshots(commands)
    reads: Counter[str] = Counter()
    read = FilesystemBlobStore.read

    def counting(
        store: FilesystemBlobStore, key: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        if key.startswith(SNAPSHOTS):
            reads[key] += 1
        return read(store, key, start, end)

    monkeypatch.setattr(FilesystemBlobStore, "read", counting)
    planned = commands.run("prune", "--keep", "1", "--dry-run").report

    assert (planned["removed"], planned["kept"]) == (incomplete[:2], [complete, incomplete[2]])
    assert {key: count for key, count in reads.items() if key.endswith("/manifest")} == {
        snapshot_manifest_key(complete): 2,
        snapshot_manifest_key(incomplete[0]): 1,
        snapshot_manifest_key(incomplete[1]): 1,
        snapshot_manifest_key(incomplete[2]): 2,
    }


@pytest.mark.parametrize("harm", ["newer", "damaged"])
def test_a_snapshot_of_a_newer_program_may_be_the_last_complete_one_f11(
    commands: BackupCommands, harm: str
) -> None:
    """After a step back to an older program, which can't tell: nothing is removed. What is damaged tells nothing."""
    complete, incomplete = _snapshots(commands)
    manifest = Path(commands.target) / snapshot_manifest_key(complete)
    body = json.dumps(json.loads(manifest.read_bytes().splitlines()[0]) | {"version": 2}).encode()
    checksum = hashlib.sha256(body if harm == "newer" else b"").hexdigest()
    manifest.write_bytes(body + b"\n" + checksum.encode() + b"\n")

    pruned = commands.run("prune", "--keep", "1")

    left = sorted(path.name for path in (Path(commands.target) / "snapshots").iterdir())
    if harm == "newer":
        assert (pruned.code, "it has format 2" in pruned.errors) == (1, True), pruned
        assert left == [complete, *incomplete]
    else:
        assert (pruned.code, pruned.report["removed"]) == (0, [complete, *incomplete[:2]])

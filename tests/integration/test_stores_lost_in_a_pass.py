"""A volume that goes while a repair is under way (F11, F47): nothing is set aside, reopened or forgotten for it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import BLOBS, JOURNAL, MANIFESTS
from entrepot.lifecycle.errors import MassDamageError
from entrepot.lifecycle.scrub.journal_phase import Comparison, JournalPhase
from entrepot.registry.store_match.ownership import find_lack
from tests.drivers.blobstore.staging import keys_of
from tests.integration.rebuilding import compact
from tests.integration.scrubbing import REPAIR, Quiet, Scrubbed, scrubbed_registry, verify_stores

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata
    from entrepot.registry.journal.rival_histories import RivalHistories

_LACKS = "which this database has written"
_PROOFS_BEFORE_THE_JOURNAL = 1
"""Of a registry in which nothing else is to be repaired."""


class _Volume:
    """A storage directory that can be unmounted, from a directory that was written to before."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._away = root.with_name("away")

    def go(self) -> None:
        """Be gone, unless it is."""
        if not self._away.exists():
            self._root.rename(self._away)
            (self._root / "uploads").mkdir(parents=True)

    def come(self) -> None:
        """Be back, unless it is there."""
        if self._away.exists():
            shutil.rmtree(self._root)
            self._away.rename(self._root)


class _Leaving(Quiet):
    """A watcher under which the volume goes when a phase begins, or with the first bytes that are read of blobs."""

    def __init__(self, volume: _Volume, phase: str) -> None:
        super().__init__()
        self._volume = volume
        self._phase = phase

    def begin(self, phase: str, total: int | None, *, in_bytes: bool) -> None:
        """See `Watcher`."""
        super().begin(phase, total, in_bytes=in_bytes)
        if phase == self._phase:
            self._volume.go()

    def advance(self, count: int) -> None:
        """See `Watcher`."""
        if self._phase == "first bytes":
            self._volume.go()


@pytest.fixture
async def scrubbed(tmp_path: Path) -> AsyncIterator[Scrubbed]:
    """A registry with one image, whose journal was written."""
    async with scrubbed_registry(tmp_path) as scrubbed:
        await compact(scrubbed.registry.stores)
        yield scrubbed


@pytest.fixture
def volume(tmp_path: Path) -> _Volume:
    """Where its blobs and its journal lie."""
    return _Volume(tmp_path / "data/storage")


async def _require_unchanged(scrubbed: Scrubbed, volume: _Volume, note: str) -> None:
    """Make sure that a pass changed nothing, and that once the volume is back all is well."""
    database = scrubbed.database
    assert await database.value("SELECT count(*) FROM blobs WHERE quarantined_at IS NOT NULL") == 0
    assert await database.value("SELECT count(*) FROM manifests WHERE quarantined_at IS NOT NULL") == 0
    assert await database.value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") == 0
    written = await scrubbed.ground.metadata.outbox.written()
    assert written.newest_segment == note != ""
    volume.come()
    assert (await scrubbed.pull_layer(), await scrubbed.pull_manifest()) == (200, 200)
    assert await scrubbed.found(REPAIR) == {}


@pytest.mark.parametrize("moment", ["first bytes", "manifests", "facts"])
async def test_f47_a_volume_that_goes_in_a_pass_stops_its_repairs(
    scrubbed: Scrubbed, volume: _Volume, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """As at the beginning of a pass, between two batches of blobs, before the manifests and before the journal."""
    monkeypatch.setattr("entrepot.lifecycle.scrub.walks._BATCH_BYTES", 1)
    note = (await scrubbed.ground.metadata.outbox.written()).newest_segment

    with pytest.raises(MassDamageError, match=_LACKS):
        await verify_stores(scrubbed.ground, REPAIR, watcher=_Leaving(volume, moment))

    assert await keys_of(scrubbed.ground.blobs) == []
    await _require_unchanged(scrubbed, volume, note)


async def test_f47_a_manifest_whose_copy_is_on_a_volume_that_went_is_not_set_aside(
    scrubbed: Scrubbed, volume: _Volume
) -> None:
    """Damaged in the database, sound in the storage: 404 would be wrong, as it is healed once that is back."""
    await scrubbed.database.fetch("UPDATE manifest_bodies SET body = CAST('{}' AS BLOB)")
    with pytest.raises(MassDamageError, match=_LACKS):
        await verify_stores(scrubbed.ground, REPAIR, watcher=_Leaving(volume, "manifests"))
    assert await scrubbed.database.value("SELECT count(*) FROM manifests WHERE state <> 'live'") == 0

    volume.come()
    assert await scrubbed.found(REPAIR) == {"corrupt": "healed"}
    assert await scrubbed.pull_manifest() == 200


class _AwayStore(FilesystemBlobStore):
    """Its volume goes with the first look at a key of an area, and is back when the journal is asked for."""

    def __init__(self, volume: _Volume, root: Path, area: str) -> None:
        super().__init__(root)
        self.mount = volume
        self.area = area
        self.has_gone = False

    async def stat(self, key: str) -> int:
        """Look, and go or come back before."""
        if key.startswith(JOURNAL):
            self.mount.come()
        elif key.startswith(self.area) and not self.has_gone:
            self.has_gone = True
            self.mount.go()
        return await super().stat(key)


async def test_f47_a_volume_that_was_away_for_a_part_of_a_batch_has_lost_nothing(
    scrubbed: Scrubbed, volume: _Volume, tmp_path: Path
) -> None:
    """A batch takes hours where the rate is low: what was missing is looked for once more in a store that is proven."""
    note = (await scrubbed.ground.metadata.outbox.written()).newest_segment
    store = _AwayStore(volume, tmp_path / "data/storage", BLOBS)

    progress, findings = await verify_stores(replace(scrubbed.ground, blobs=store), REPAIR)
    await store.aclose()

    assert store.has_gone
    assert (progress.counts["blobs"], findings) == (2, [])
    await _require_unchanged(scrubbed, volume, note)


class _GoingStore(FilesystemBlobStore):
    """Its volume goes between the first thing that is read of an area and the second one."""

    def __init__(self, volume: _Volume, root: Path, area: str) -> None:
        super().__init__(root)
        self.mount = volume
        self.area = area
        self.read_keys = 0

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Read, from the second time on what is beneath the volume."""
        if key.startswith(self.area):
            self.read_keys += 1
            if self.read_keys > 1:
                self.mount.go()
        async for chunk in super().read(key, start, end):
            yield chunk


async def test_f47_a_manifest_is_set_aside_only_where_its_copy_was_looked_for_in_the_right_store(
    scrubbed: Scrubbed, volume: _Volume, tmp_path: Path
) -> None:
    """Gone after the batch was looked at, and before the copy that would have healed it was read."""
    await scrubbed.database.fetch("UPDATE manifest_bodies SET body = CAST('{}' AS BLOB)")
    store = _GoingStore(volume, tmp_path / "data/storage", MANIFESTS)
    with pytest.raises(MassDamageError, match=_LACKS):
        await verify_stores(replace(scrubbed.ground, blobs=store), REPAIR)
    await store.aclose()

    assert await scrubbed.database.value("SELECT count(*) FROM manifests WHERE state <> 'live'") == 0
    volume.come()
    assert await scrubbed.found(REPAIR) == {"corrupt": "healed"}


async def test_f47_no_fact_is_written_anew_for_a_volume_that_comes_and_goes(
    scrubbed: Scrubbed, volume: _Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for both readings of the journal, and there for the proof between them."""
    note = (await scrubbed.ground.metadata.outbox.written()).newest_segment
    proofs = 0

    async def go_and_read(phase: JournalPhase, damaged: dict[str, str], rivals: RivalHistories) -> Comparison:
        volume.go()
        return await read(phase, damaged, rivals)

    async def prove(metadata: Metadata, blobs: BlobStore) -> str:
        nonlocal proofs
        proofs += 1
        if proofs == _PROOFS_BEFORE_THE_JOURNAL + 1:
            volume.come()
        return await find_lack(metadata, blobs)

    read = JournalPhase._read
    monkeypatch.setattr(JournalPhase, "_read", go_and_read)
    monkeypatch.setattr("entrepot.lifecycle.scrub.scrub.find_lack", prove)
    with pytest.raises(MassDamageError, match=_LACKS):
        await scrubbed.verify(REPAIR)
    monkeypatch.undo()

    assert proofs == _PROOFS_BEFORE_THE_JOURNAL + 2
    await _require_unchanged(scrubbed, volume, note)


async def test_f47_only_who_forces_a_repair_has_the_newest_segment_forgotten(
    scrubbed: Scrubbed, volume: _Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gone once the journal was read whole: a storage without it would be the right one from then on."""
    note = (await scrubbed.ground.metadata.outbox.written()).newest_segment

    async def read_and_go(phase: JournalPhase, damaged: dict[str, str], rivals: RivalHistories) -> Comparison:
        found = await read(phase, damaged, rivals)
        volume.go()
        return found

    read = JournalPhase._read
    monkeypatch.setattr(JournalPhase, "_read", read_and_go)
    await scrubbed.verify(REPAIR)
    monkeypatch.undo()

    assert await keys_of(scrubbed.ground.blobs) == []
    await _require_unchanged(scrubbed, volume, note)

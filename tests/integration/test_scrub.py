"""Damage at rest (F11, F12): found with whoever it hits, set aside, healed by its other copy, a source or a push."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.lifecycle.errors import MassDamageError
from entrepot.lifecycle.recovery import StoreRecovery
from entrepot.lifecycle.scrub.findings import Kind, Outcome
from entrepot.lifecycle.scrub.options import Mode, ScrubOptions
from entrepot.oci.digest import Digest
from tests.faults.image import one_layer_image
from tests.integration.scrubbing import REPAIR, Scrubbed, scrubbed_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

_KINDS = {
    "missing": Kind.MISSING,
    "empty": Kind.TRUNCATED,
    "truncated": Kind.TRUNCATED,
    "overlong": Kind.OVERLONG,
    "flipped": Kind.CORRUPT,
}


@pytest.fixture
async def scrubbed(tmp_path: Path) -> AsyncIterator[Scrubbed]:
    """A registry with one image."""
    async with scrubbed_registry(tmp_path) as scrubbed:
        yield scrubbed


async def test_a_sound_registry_is_found_sound(scrubbed: Scrubbed) -> None:
    """Everything is looked at: two blobs, a manifest twice, its references, the journal and the store."""
    progress, findings = await scrubbed.verify(REPAIR)

    assert findings == []
    assert (progress.damaged, progress.orphans) == ({}, 0)
    assert progress.counts == {"blobs": 2, "manifests": 1, "references": 1, "facts": 1, "objects": 3}
    image = scrubbed.image
    assert progress.read_bytes == len(image.layer) + len(image.config) + len(image.manifest)


@pytest.mark.parametrize("how", list(_KINDS))
async def test_f11_f12_damaged_bytes_are_set_aside_and_a_push_heals(scrubbed: Scrubbed, how: str) -> None:
    """Found with the tags that are hit, changed by nothing but a repair, 404 afterwards, and whole after a push."""
    scrubbed.damage(how, scrubbed.image.layer)

    _, (finding,) = await scrubbed.verify()
    assert (finding.kind, finding.outcome, finding.is_damage) == (_KINDS[how], Outcome.FOUND, True)
    assert (finding.repositories, finding.tags) == (("team/app",), ("team/app:latest",))
    assert await scrubbed.found(replace(REPAIR, mode=Mode.REHEARSE)) == {_KINDS[how]: "would-quarantine"}
    assert await scrubbed.pull_layer() == (200 if how == "flipped" else 500)

    assert await scrubbed.found(REPAIR) == {_KINDS[how]: "quarantined"}
    assert [await scrubbed.pull_layer(method) for method in ("GET", "HEAD")] == [404, 404]
    assert await scrubbed.found() == {"quarantined": "found"}

    await scrubbed.push()
    assert await scrubbed.pull_layer() == 200
    progress, findings = await scrubbed.verify()
    assert findings == []
    # The damaged bytes are nobody's now; the sweep of orphans removes them after its grace period.
    assert progress.orphans == (0 if how == "missing" else 1)


@pytest.mark.parametrize("how", ["missing", "truncated", "overlong"])
async def test_f12_a_push_heals_lost_bytes_without_a_verification(scrubbed: Scrubbed, how: str) -> None:
    """HEAD says 404 where the disk tells that they are gone, the client sends them, and they take their place."""
    scrubbed.damage(how, scrubbed.image.layer)
    assert await scrubbed.pull_layer("HEAD") == 404
    assert await scrubbed.pull_layer("GET") == 500

    await scrubbed.push()

    assert await scrubbed.pull_layer() == 200
    assert scrubbed.file_of(scrubbed.image.layer).read_bytes() == scrubbed.image.layer
    assert await scrubbed.found() == {}


async def test_a_sound_copy_is_kept_when_the_same_blob_is_pushed_again(scrubbed: Scrubbed) -> None:
    """De-duplication goes on as before: the first copy stays, the second goes."""
    before = scrubbed.file_of(scrubbed.image.layer)

    await scrubbed.push(replace(scrubbed.image, repository="team/other"))

    assert scrubbed.file_of(scrubbed.image.layer) == before


async def test_a_file_that_was_put_back_is_served_again(scrubbed: Scrubbed) -> None:
    """An operator restored it from somewhere; the next repair believes the hash."""
    file = scrubbed.file_of(scrubbed.image.layer)
    scrubbed.damage("missing", scrubbed.image.layer)
    await scrubbed.verify(REPAIR)
    file.write_bytes(scrubbed.image.layer)

    assert await scrubbed.found(replace(REPAIR, mode=Mode.REHEARSE)) == {"quarantined": "would-restore"}
    assert await scrubbed.found(replace(REPAIR, fast=True)) == {"quarantined": "found"}
    progress, (finding,) = await scrubbed.verify(REPAIR)

    assert (finding.outcome, progress.damaged) == (Outcome.RESTORED, {})
    assert await scrubbed.pull_layer() == 200


@pytest.mark.parametrize("how", ["missing", "flipped"])
async def test_a_second_store_heals(scrubbed: Scrubbed, how: str, tmp_path: Path) -> None:
    """Its bytes are hashed first; the damaged ones are deleted, and nothing else is left behind."""
    scrubbed.damage(how, scrubbed.image.layer)
    async with scrubbed_registry(tmp_path / "second") as second:
        source = StoreRecovery("second", second.ground.blobs)
        options = replace(REPAIR, sources=(source,))
        rehearsed = await scrubbed.found(replace(options, mode=Mode.REHEARSE))
        progress, (finding,) = await scrubbed.verify(options)

    assert rehearsed == {_KINDS[how]: "would-heal"}
    assert (finding.outcome, finding.source, progress.damaged) == (Outcome.HEALED, "second", {})
    assert await scrubbed.pull_layer() == 200
    assert scrubbed.file_of(scrubbed.image.layer).read_bytes() == scrubbed.image.layer
    progress, findings = await scrubbed.verify()
    assert (findings, progress.orphans) == ([], 0)
    assert await scrubbed.database.value("SELECT count(*) FROM upload_sessions") == 0


async def test_i3_a_source_with_wrong_bytes_heals_nothing(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """As long as the right ones, and other bytes: they never take anybody's place."""
    scrubbed.damage("missing", scrubbed.image.layer)
    async with scrubbed_registry(tmp_path / "second") as second:
        second.damage("flipped", second.image.layer)
        source = StoreRecovery("second", second.ground.blobs)
        _, (finding,) = await scrubbed.verify(replace(REPAIR, sources=(source,)))

    assert finding.outcome is Outcome.QUARANTINED
    assert await scrubbed.pull_layer() == 404
    progress, _ = await scrubbed.verify()
    assert progress.orphans == 0
    assert await scrubbed.database.value("SELECT count(*) FROM upload_sessions") == 0


async def test_what_was_set_aside_is_healed_by_a_source_later(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """The backup was found a day after."""
    scrubbed.damage("flipped", scrubbed.image.layer)
    await scrubbed.verify(REPAIR)

    async with scrubbed_registry(tmp_path / "second") as second:
        source = StoreRecovery("second", second.ground.blobs)
        _, (finding,) = await scrubbed.verify(replace(REPAIR, sources=(source,)))

    assert (finding.kind, finding.outcome) == (Kind.QUARANTINED, Outcome.HEALED)
    assert await scrubbed.pull_layer() == 200


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
async def test_f11_a_manifests_copy_is_healed_by_the_database(scrubbed: Scrubbed, how: str) -> None:
    """Under its own key, to which the journal leads."""
    file = scrubbed.file_of(scrubbed.image.manifest, "manifests")
    scrubbed.damage(how, scrubbed.image.manifest, "manifests")
    kind = "copy-missing" if how == "missing" else "copy-damaged"

    assert await scrubbed.found() == {kind: "found"}
    assert await scrubbed.found(REPAIR) == {kind: "healed"}

    assert file.read_bytes() == scrubbed.image.manifest
    assert await scrubbed.found() == {}


async def _damage_body(scrubbed: Scrubbed) -> None:
    await scrubbed.database.fetch("UPDATE manifest_bodies SET body = CAST('{}' AS BLOB)")


async def test_f11_a_manifest_in_the_database_is_healed_by_its_copy(scrubbed: Scrubbed) -> None:
    """It answers 500 until then, never with wrong bytes."""
    await _damage_body(scrubbed)
    assert await scrubbed.pull_manifest() == 500

    assert await scrubbed.found() == {"corrupt": "found"}
    assert await scrubbed.found(REPAIR) == {"corrupt": "healed"}

    assert await scrubbed.pull_manifest() == 200
    assert await scrubbed.found() == {}


async def test_f11_a_manifest_without_any_sound_bytes_is_set_aside_until_it_is_pushed(
    scrubbed: Scrubbed,
) -> None:
    """404, with the tag that is hit; a push brings back body, copy, tag and all."""
    await _damage_body(scrubbed)
    scrubbed.damage("flipped", scrubbed.image.manifest, "manifests")

    _, (finding,) = await scrubbed.verify(REPAIR)
    assert (finding.kind, finding.outcome) == (Kind.CORRUPT, Outcome.QUARANTINED)
    assert finding.tags == ("team/app:latest",)
    assert await scrubbed.pull_manifest() == 404
    assert await scrubbed.found() == {"quarantined": "found"}

    await scrubbed.push()
    assert await scrubbed.pull_manifest() == 200
    assert await scrubbed.found() == {}


async def test_f12_a_push_heals_a_manifest_without_a_verification(scrubbed: Scrubbed) -> None:
    """Other bytes under the same digest are damaged ones, so they are replaced."""
    await _damage_body(scrubbed)

    await scrubbed.push()

    assert await scrubbed.pull_manifest() == 200
    assert await scrubbed.found() == {}


async def test_a_manifest_is_healed_by_a_second_store(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """Body and copy both."""
    await _damage_body(scrubbed)
    scrubbed.damage("missing", scrubbed.image.manifest, "manifests")
    async with scrubbed_registry(tmp_path / "second") as second:
        source = StoreRecovery("second", second.ground.blobs)
        _, (finding,) = await scrubbed.verify(replace(REPAIR, sources=(source,)))

    assert (finding.outcome, finding.source) == (Outcome.HEALED, "second")
    assert await scrubbed.found() == {}


async def test_a_manifest_that_was_set_aside_is_healed_by_a_second_store(
    scrubbed: Scrubbed, tmp_path: Path
) -> None:
    """Its bytes and its visibility come back with one repair; so does one whose bytes somebody put right."""
    await _damage_body(scrubbed)
    scrubbed.damage("missing", scrubbed.image.manifest, "manifests")
    assert await scrubbed.found(REPAIR) == {"corrupt": "quarantined"}
    async with scrubbed_registry(tmp_path / "second") as second:
        source = StoreRecovery("second", second.ground.blobs)
        assert await scrubbed.found(replace(REPAIR, sources=(source,))) == {"quarantined": "healed"}
    assert await scrubbed.pull_manifest() == 200

    await scrubbed.database.fetch("UPDATE manifests SET state = 'trash', quarantined_at = 1")
    assert await scrubbed.found(replace(REPAIR, mode=Mode.REHEARSE)) == {"quarantined": "would-restore"}
    assert await scrubbed.found(REPAIR) == {"quarantined": "restored"}
    assert await scrubbed.pull_manifest() == 200


async def test_f6_a_blob_that_cannot_be_read_is_never_set_aside(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of its bytes; it stays where it is, and the report says so."""
    monkeypatch.setattr("entrepot.lifecycle.scrub.examination._PAUSE_SECONDS", 0)
    file = scrubbed.file_of(scrubbed.image.layer)
    file.unlink()
    file.symlink_to("nowhere")  # what can't be opened for another reason than its absence

    assert await scrubbed.found(REPAIR) == {"unreadable": "found"}
    assert await scrubbed.database.value("SELECT count(*) FROM blobs WHERE state <> 'live'") == 0


async def test_i2_a_manifest_that_lacks_what_it_needs_is_found(scrubbed: Scrubbed) -> None:
    """The rows are looked at, too: a link was lost, or a reference."""
    digest = Digest.of_bytes(scrubbed.image.layer)
    await scrubbed.database.fetch(
        f"DELETE FROM repository_blobs WHERE blob_id = (SELECT id FROM blobs WHERE digest = '{digest}')"
    )
    _, (finding,) = await scrubbed.verify(REPAIR)
    assert (finding.kind, finding.tags) == (Kind.REFERENCE_BROKEN, ("team/app:latest",))
    assert str(digest) in finding.detail

    await scrubbed.database.fetch(f"DELETE FROM manifest_references WHERE digest = '{digest}'")
    _, (finding,) = await scrubbed.verify()
    assert finding.kind is Kind.REFERENCES_DIFFER
    assert f"the rows lack {digest}" in finding.detail


async def test_a_tag_that_points_at_nothing_is_found(scrubbed: Scrubbed) -> None:
    """No request leaves such a row; a fault might."""
    await scrubbed.database.fetch("UPDATE manifests SET state = 'condemned'")

    _, (finding,) = await scrubbed.verify()

    assert (finding.kind, finding.name) == (Kind.TAG_BROKEN, "team/app:latest")


async def test_a_manifest_this_program_cannot_read_is_found(scrubbed: Scrubbed) -> None:
    """Its bytes are the right ones, its media type in the row is not."""
    await scrubbed.database.fetch("UPDATE manifests SET media_type = 'text/plain'")

    assert await scrubbed.found(REPAIR) == {"unparsable": "found"}


class _MovingStore(FilesystemBlobStore):
    """Lets something happen between the moment a row was read and the one its bytes are looked at."""

    def __init__(self, root: Path, happen: Callable[[], Awaitable[None]]) -> None:
        super().__init__(root)
        self._happen: Callable[[], Awaitable[None]] | None = happen

    async def stat(self, key: str) -> int:
        """Look after it has happened."""
        if self._happen is not None:
            happen, self._happen = self._happen, None
            await happen()
        return await super().stat(key)


@pytest.mark.parametrize("gone", [False, True])
async def test_what_changes_meanwhile_is_no_damage(scrubbed: Scrubbed, tmp_path: Path, gone: bool) -> None:
    """A push lets the row name other bytes, or the row goes; the old bytes are deleted under the verification."""
    file = scrubbed.file_of(scrubbed.image.layer)
    old = str(file.relative_to(tmp_path / "data/storage"))
    digest = Digest.of_bytes(scrubbed.image.layer)

    async def happen() -> None:
        if gone:
            await scrubbed.database.fetch("DELETE FROM manifest_references")
            await scrubbed.database.fetch("DELETE FROM repository_blobs")
            await scrubbed.database.fetch("DELETE FROM blobs")
        else:
            await scrubbed.ground.blobs.put(f"{old}x", scrubbed.image.layer)
            await scrubbed.database.fetch(
                f"UPDATE blobs SET storage_key = '{old}x' WHERE digest = '{digest}'"
            )
        file.unlink()

    store = _MovingStore(tmp_path / "data/storage", happen)
    moving = replace(scrubbed, ground=replace(scrubbed.ground, blobs=store))
    _, findings = await moving.verify(REPAIR)
    await store.aclose()

    assert [finding for finding in findings if finding.about == "blob"] == []
    assert gone or await scrubbed.pull_layer() == 200


async def test_orphans_are_counted_and_left_to_the_sweep(scrubbed: Scrubbed) -> None:
    """Bytes that no row mentions are no damage."""
    await scrubbed.ground.blobs.put("manifests/sha256/aa/aa/one", b"123")
    await scrubbed.ground.blobs.put("uploads/two", b"4567")

    progress, findings = await scrubbed.verify(REPAIR)

    assert (findings, progress.orphans, progress.orphan_bytes) == ([], 2, 7)
    assert await scrubbed.ground.blobs.stat("uploads/two") == 4


async def test_one_repository_can_be_verified_alone(scrubbed: Scrubbed) -> None:
    """What others link to is left alone; a shared blob is examined once."""
    other = one_layer_image(2, "team/other")
    await scrubbed.push(other)
    scrubbed.damage("missing", other.layer)

    progress, findings = await scrubbed.verify(ScrubOptions(repositories=("team/app", "team/app")))
    assert (findings, progress.counts["blobs"]) == ([], 2)
    _, (finding,) = await scrubbed.verify(ScrubOptions(repositories=("team/other",)))

    assert finding.repositories == ("team/other",)


async def test_fast_looks_at_sizes_only(scrubbed: Scrubbed) -> None:
    """What is missing is found, what has other bytes is not, and no blob is read."""
    scrubbed.damage("flipped", scrubbed.image.layer)
    progress, findings = await scrubbed.verify(ScrubOptions(fast=True))
    assert (findings, progress.read_bytes) == ([], 0)

    scrubbed.damage("truncated", scrubbed.image.layer)

    assert await scrubbed.found(ScrubOptions(fast=True)) == {"truncated": "found"}


async def test_an_unmounted_volume_sets_nothing_aside(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """A store with nothing in it stops the repair at once; so does one in which most things are missing."""
    empty = FilesystemBlobStore(tmp_path / "empty")
    await empty.prepare()
    elsewhere = replace(scrubbed, ground=replace(scrubbed.ground, blobs=empty))
    with pytest.raises(MassDamageError, match="nothing at all"):
        await elsewhere.verify(REPAIR)

    for seed in range(2, 8):
        await scrubbed.push(one_layer_image(seed, f"team/app{seed}"))
    await empty.put("journal/x/entries/1", b"{}")
    with pytest.raises(MassDamageError, match="14 of the first 14"):
        await elsewhere.verify(REPAIR)
    assert await scrubbed.database.value("SELECT count(*) FROM blobs WHERE state <> 'live'") == 0
    assert (await elsewhere.verify())[0].damaged["missing"] == 14

    await elsewhere.verify(replace(REPAIR, force=True))
    assert await scrubbed.pull_layer() == 404
    await empty.aclose()
    assert set((await scrubbed.found(REPAIR)).values()) == {"restored"}
    assert await scrubbed.pull_layer() == 200


async def test_nobody_is_hit_by_a_blob_that_nobody_links_to(scrubbed: Scrubbed) -> None:
    """It is set aside as well, and alarms nobody."""
    await scrubbed.database.fetch("DELETE FROM manifest_references")
    await scrubbed.database.fetch("DELETE FROM repository_blobs")
    await scrubbed.database.fetch("DELETE FROM tags")
    await scrubbed.database.fetch("DELETE FROM manifests")
    scrubbed.damage("flipped", scrubbed.image.layer)

    progress, (finding,) = await scrubbed.verify(REPAIR)

    assert (finding.outcome, finding.is_damage, progress.damaged) == (Outcome.QUARANTINED, False, {})

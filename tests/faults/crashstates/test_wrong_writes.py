"""F4: the disk takes less than it was given, and says so, or claims to have taken what it dropped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.bootstrap import open_stores
from entrepot.registry.journal.writer import Journal
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.workers import upkeep
from tests.asgi.services import scratch_settings
from tests.faults.crashstates.examination import examine
from tests.faults.crashstates.operations import Mark, read_operations
from tests.faults.crashstates.performing import STEP
from tests.faults.crashstates.plans import build_plan
from tests.faults.crashstates.recorder import BEGIN, DATA
from tests.faults.crashstates.recording import perform_plans
from tests.faults.crashstates.recording_filesystem import Mischief
from tests.faults.pushing import Acknowledgement

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_PLAN: Final = "first-start"
_BLOBS: Final = "storage"
_WRITES: Final = 4
"""Below the blob store: layer, config, manifest, journal entry."""


def _examine(directory: Path, plan: str, seed: int) -> None:
    """Check every promise on what lies behind the mount, given which steps were answered.

    That an upload goes on where it was is promised for honest disks: bytes that are gone can't be counted on.
    """
    operations = read_operations(directory / "operations")
    marks = [one.text for one in operations if isinstance(one, Mark)]
    answers = [msgspec.json.decode(text, type=Acknowledgement) for text in marks if not _begins(text)]
    told = [msgspec.json.encode(answer) for answer in answers if answer.what == STEP]
    asyncio.run(examine(directory / "backing" / plan / DATA, build_plan(plan, seed), told))


async def _journal_what_is_missing(data: Path) -> None:
    """Run the background worker's duty once, on facts old enough that no request writes their entries any more."""
    async with open_stores(scratch_settings(data)) as stores:
        await asyncio.sleep((upkeep._ENTRY_GRACE_MILLISECONDS + 100) / 1000)
        journal = Journal(stores.blobs, await stores.metadata.instance.incarnation())
        watch = StoreWatch(stores.metadata, stores.blobs)
        await upkeep.journal_duty(stores.metadata, journal, SteadyClock(), watch).run()


def _begins(text: bytes) -> bool:
    return text.startswith(BEGIN.encode())


def test_f4_short_writes_are_continued(tmp_path: Path, rotating_seed: int) -> None:
    """Every write takes half of its bytes: database, log, blobs and manifests are whole nevertheless."""
    done = perform_plans(tmp_path, [_PLAN], rotating_seed, Mischief(short=True, below=DATA))

    assert done.returncode == 0, done.stderr.decode()
    _examine(tmp_path, _PLAN, rotating_seed)


def test_f4_a_write_that_was_dropped_is_never_acknowledged(
    tmp_path: Path, rotating_seed: int, subtests: pytest.Subtests
) -> None:
    """A dropped write of layer, config or manifest has the request refused, nothing wrong stored, and a repeat works.

    Each file here is one write, so that its length tells. A hole within a large blob is for the scrub to find (I3).
    That of the journal entry, the last, refuses nothing: the fact is committed, and written again in the background.
    """
    for lying in range(1, _WRITES + 1):
        with subtests.test(f"write {lying}"):
            directory = tmp_path / str(lying)
            directory.mkdir()
            done = perform_plans(directory, [_PLAN], rotating_seed, Mischief(lying=lying, below=_BLOBS))
            if lying < _WRITES:
                assert b"expected (20" in done.stderr, done.stderr.decode()
            else:
                assert done.returncode == 0, done.stderr.decode()
                journal = directory / "backing" / _PLAN / DATA / _BLOBS / "journal"
                assert [path for path in journal.rglob("*") if path.is_file()] == []
                asyncio.run(_journal_what_is_missing(directory / "backing" / _PLAN / DATA))
            _examine(directory, _PLAN, rotating_seed)

"""F1: a catch-up that was killed while what it brings lies before what the database knows, so that no number tells."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from entrepot.kernel.failpoints import Failpoint
from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from tests.asgi.services import in_process_registry
from tests.asgi.small_images import NAME, image, put
from tests.integration.rebuilding import (
    compacted_registry,
    lose_database,
    push_segment,
    rebuild,
    segments_of,
    unsealed,
)
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.settings import Settings

_TAGS = "bcdefghij"


async def _half_caught_up(settings: Settings, away: Path) -> None:
    """Rebuild without a file of nine facts, have the sweep see what only they tell of, and kill the catch-up."""
    await push_segment(settings, *_TAGS)
    await push_segment(settings, "z")
    part = segments_of(settings)[1]
    shutil.move(part, away)
    lose_database(settings)
    assert (await rebuild(settings))[0] == 0
    async with in_process_registry(settings) as registry:
        assert await _sweep(registry.stores, 3600) == ("", len(_TAGS), 0)
    shutil.move(away, part)
    await _killed(settings, "--catch-up")


async def _killed(settings: Settings, *options: str) -> None:
    """Rebuild, and be killed behind the first unit."""
    command = [sys.executable, "-m", "tests.faults.rebuild_child", str(settings.data.directory)]
    command += [Failpoint.REBUILD_UNIT_COMMITTED, *options]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, timeout=110)
    assert ended.returncode == -signal.SIGKILL


async def _sweep(stores: Stores, grace: int) -> tuple[str, int, int]:
    """Do a pass; return why nothing may be removed, how many orphans it saw for the first time, and removed."""
    clock = await steady_clock(stores.metadata)
    objection = partial(why_nothing_may_be_removed, stores.metadata)
    options = SweepOptions(grace_seconds=grace, period_seconds=0, page_pause_seconds=0)
    report = await OrphanSweep(stores.metadata, stores.blobs, options, clock, objection).run()
    return report.refused, report.found, report.removed


async def test_f1_half_way_of_a_catch_up_nothing_is_pushed_and_nothing_swept(tmp_path: Path) -> None:
    """What facts tell of that are still to come has no rows yet; it is there when the catch-up goes on (F47, I1)."""
    settings = await compacted_registry(tmp_path / "data")
    await _half_caught_up(settings, tmp_path / "away")

    async with in_process_registry(settings) as registry:
        refused, _, removed = await _sweep(registry.stores, 0)
        assert (refused, removed) == ("a catch-up of this database was begun, and has not come to its end", 0)
        reply = await put(registry.client, "new", image(annotations={"n": "new"}))
        assert (reply.status, "entrepot rebuild --catch-up" in reply.body.decode()) == (405, True)

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["losses"], report["resumed"]) == (0, [], True)
    async with in_process_registry(settings) as registry:
        paths = [f"/v2/{NAME}/manifests/{tag}" for tag in f"a{_TAGS}z"]
        assert {(await registry.client.request("GET", path)).status for path in paths} == {200}
        assert (await _sweep(registry.stores, 0))[0] == ""
        assert (await put(registry.client, "new", image(annotations={"n": "new"}))).status == 201


async def test_f1_a_rebuild_that_was_killed_behind_what_nobody_understands_goes_on(tmp_path: Path) -> None:
    """It is not recorded, and did not come back since; it counts as lost all the same (F11)."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, *_TAGS)
    segment = segments_of(settings)[0]
    segment.write_bytes(unsealed(segment.read_bytes()).replace(b'"manifest.put"', b'"manifest.put."'))
    lose_database(settings)
    await _killed(settings)

    code, report = await rebuild(settings)

    assert (code, report["resumed"], report["lost_parts"]) == (1, True, 1)
    assert [spot["key"] for spot in report["spots"]] == ["fact 3"]

"""Opens the registry on what a power cut left, and holds it to its promises."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap import open_stores
from entrepot.kernel.errors import EntrepotError
from entrepot.registry.journal.reader import JournalReader, find_incarnations
from entrepot.registry.journal.writer import ENTRY_KINDS
from entrepot.settings import metadata_path, storage_root
from tests.asgi.services import scratch_settings
from tests.faults.crashstates.performing import STEP, finish_upload, perform, registry_on
from tests.faults.crashstates.plans import PushBlob, build_plan
from tests.faults.crashstates.recorder import DATA
from tests.faults.invariants import check_stored_bytes
from tests.faults.pushing import Acknowledgement

if TYPE_CHECKING:
    from tests.asgi.client import AsgiClient
    from tests.faults.crashstates.history import Tree
    from tests.faults.crashstates.plans import Plan, Truth

__all__ = ["Job", "examine", "examine_tree", "prepare_worker", "write_tree"]


@dataclass(frozen=True, slots=True)
class Job:
    """One state to examine: what is on the disk, whose plan it comes from, and what the client was told by then."""

    tree: Tree
    plan: str
    seed: int
    marks: list[bytes]
    scratch: str


def prepare_worker() -> None:
    """Make ready a process that examines: thousands of states would log a million lines that nobody reads."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def examine_tree(job: Job) -> str:
    """Return which promise is broken, an empty text when all are kept. Runs in a process of its own."""
    directory = Path(job.scratch) / f"state-{os.getpid()}"
    write_tree(job.tree, directory)
    try:
        asyncio.run(examine(directory / DATA, build_plan(job.plan, job.seed), job.marks))
    except (AssertionError, EntrepotError, OSError, ValueError, sqlite3.Error) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(directory)
    return ""


def write_tree(tree: Tree, directory: Path) -> None:
    """Write what the model says is on the disk."""
    directory.mkdir(parents=True)
    for path, content in tree.items():
        target = directory / path
        if content is None:
            target.mkdir()
        else:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)


async def examine(data: Path, plan: Plan, marks: list[bytes]) -> None:
    """Check every promise on the data directory `data`, of which the client was told what `marks` say.

    Raises:
        AssertionError: a promise is broken; the text begins with its id.
        EntrepotError, OSError: the registry does not even start.
    """
    told = [msgspec.json.decode(mark, type=Acknowledgement) for mark in marks]
    done = sum(one.what == STEP for one in told)
    async with registry_on(data) as client:
        await _check_journal(data, plan, done)
        before = plan.truth(done)
        after = plan.truth(min(done + 1, len(plan.steps)))
        observed = await _observe(client, before)
        _compare(observed, before, after, plan, done)
        await _check_upload(client, plan, done, told)
        for number, step in enumerate(plan.steps[done:], done):
            await perform(client, data, step, lambda _: None, again=number == done)
        final = await _observe(client, before)
        assert final == plan.truth(len(plan.steps)), f"I7: {_difference(final, plan.truth(len(plan.steps)))}"
    async with open_stores(scratch_settings(data)) as stores:
        await check_stored_bytes(stores.blobs)
    _check_database(metadata_path(scratch_settings(data)))
    identity = (data / "node-id").read_bytes()
    assert re.fullmatch(rb"[0-9a-f]{32}", identity), f"the node has no identity: {identity!r}"


def _compare(observed: Truth, before: Truth, after: Truth, plan: Plan, done: int) -> None:
    """I1, I5 and I7: what was answered is there or stays gone, and what was under way happened whole or not at all.

    Comparing all that can be read with what may be read covers I2 too: no manifest is there without its blobs.
    """
    if observed in (before, after):
        return
    under_way = plan.steps[done] if done < len(plan.steps) else "nothing"
    raise AssertionError(
        f"I1, I2, I5 or I7: after {done} answers, with {type(under_way).__name__} under way: "
        f"{_difference(observed, before)}"
    )


def _difference(observed: Truth, expected: Truth) -> str:
    def tell(content: bytes | None) -> str:
        return "nothing" if content is None else f"{len(content)} bytes"

    return "; ".join(
        f"{path} is {tell(observed[path])}, expected {tell(expected[path])}"
        for path in expected
        if observed[path] != expected[path]
    )


async def _observe(client: AsgiClient, paths: Truth) -> Truth:
    truth: Truth = {}
    for path in paths:
        reply = await client.request("GET", path)
        assert reply.status in {200, 404}, f"I1 or I3: {path} answers {reply.status} {reply.body!r}"
        truth[path] = reply.body if reply.status == 200 else None
    return truth


async def _check_journal(data: Path, plan: Plan, done: int) -> None:
    """I1 without a database: the store alone tells of what was answered, once, and at most of what was under way.

    How many facts there are says it: each has a number of its own, and none is written before its commit.
    """
    blobs = FilesystemBlobStore(storage_root(scratch_settings(data)), min_free_bytes=0)
    damage: list[str] = []
    lines = [
        line
        for incarnation in await find_incarnations(blobs)
        async for line in JournalReader(
            blobs,
            incarnation,
            lambda key, why: damage.append(f"{key}: {why}"),
            lambda rivals: damage.append(str(rivals)),
        ).facts()
    ]
    await blobs.aclose()
    found = sum(line.kind in ENTRY_KINDS for line in lines)
    expected = {plan.facts(done), plan.facts(min(done + 1, len(plan.steps)))}
    assert not damage, f"I3: journal {damage}"
    assert found in expected, f"I1: the journal has {found} facts instead of {sorted(expected)}"


async def _check_upload(client: AsgiClient, plan: Plan, done: int, told: list[Acknowledgement]) -> None:
    """I1: an upload that was under way goes on where it was acknowledged."""
    last = told[-1] if told else Acknowledgement(STEP, "")
    if last.what == STEP:
        return
    step = plan.steps[done]
    assert isinstance(step, PushBlob)
    if last.what == "chunk":
        await finish_upload(client, last.name, step)
        assert (await client.request("GET", step.path)).body == step.content, "I3: a resumed upload"
    else:
        reply = await client.request("GET", last.name)
        assert reply.status == 204, f"I1: the upload {last.name} answers {reply.status}"


def _check_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the database is damaged"
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == [], "a row points to nothing"

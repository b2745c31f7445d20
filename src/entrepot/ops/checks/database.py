"""Checks of what the database holds and how it is run, for a database whose schema is that of this program."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.ops.checks.asked_database import asked_database
from entrepot.ops.checks.connections import judge_connections
from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.ops.checks.forecast import GROWTH_SECONDS, judge_forecast
from entrepot.ops.checks.network import is_node_running
from entrepot.ops.checks.signed_chain import judge_signed_chain, judged_checkpoints
from entrepot.ops.checks.times_ahead import TimeAhead, find_times_ahead, judge_times_ahead
from entrepot.ops.checks.verification import judge_verification
from entrepot.registry.sweeps.clock_skew import clock_skew_seconds
from entrepot.settings import metadata_path, metadata_url, storage_root, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from entrepot.metadata.diagnosis import RecentGrowth
    from entrepot.metadata.outbox_store import Backlog
    from entrepot.metadata.sql.engine_facts import EngineFacts
    from entrepot.ops.checks.signed_chain import JudgedCheckpoints
    from entrepot.settings import Settings

__all__ = [
    "examine_database",
    "judge_clock_skew",
    "judge_durability",
    "judge_journal",
    "judge_lease_owners",
    "judge_log_size",
]

_PATIENCE_SECONDS: Final = 10.0
_SKEW_SECONDS: Final = 2.0
_LATE_SECONDS: Final = 120
"""The background worker writes segments every five seconds."""
_AHEAD_MILLISECONDS: Final = 1000
_YOUNGEST_BLOBS: Final = 10_000
_LARGE_LOG_BYTES: Final = 1024**3
_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one connection was told; times in milliseconds since 1970."""

    clock: int
    clock_skew_seconds: float
    backlog: Backlog
    growth: RecentGrowth
    lease_owners: Sequence[str]
    times_ahead: Sequence[TimeAhead]
    standing_damage: Mapping[str, int]
    signed_chain: JudgedCheckpoints


def examine_database(settings: Settings) -> Iterator[Finding]:
    """Yield findings; none when there is no database yet or its schema is another, which is a finding of its own.

    Raises:
        EntrepotError, TimeoutError: the database can't be asked.
    """
    if not uses_postgresql(settings) and not metadata_path(settings).exists():
        return
    node = _read_node_id(settings.data.directory)
    answers = asyncio.run(_ask(settings, node))
    if answers is None:
        return
    running = is_node_running(settings)
    yield judge_journal(answers.backlog, running=running)
    yield judge_times_ahead(answers.times_ahead)
    yield judge_verification(answers.standing_damage)
    yield judge_signed_chain(answers.signed_chain)
    yield judge_lease_owners(node, answers.lease_owners, running=running)
    if uses_postgresql(settings):
        yield judge_clock_skew(answers.clock_skew_seconds)
        facts = asyncio.run(_read_engine(settings))
        yield judge_durability(facts)
        yield judge_connections(facts, settings.metadata.pool_size)
    else:
        from entrepot.metadata.sql.sqlite_files import log_of, logs_aside  # noqa: PLC0415 - as their driver

        log = log_of(metadata_path(settings))
        yield judge_log_size(log.stat().st_size if log.exists() else 0, running=running)
        yield from map(_tell_of_log_aside, logs_aside(metadata_path(settings)))
    if settings.storage.driver == "filesystem" and storage_root(settings).is_dir():
        state = os.statvfs(storage_root(settings))
        room = state.f_bavail * state.f_frsize - settings.storage.min_free_bytes
        yield judge_forecast(answers.growth, answers.clock, room)


async def _ask(settings: Settings, node: str) -> _Answers | None:
    from entrepot.lifecycle.scrub.standing import read_standing_damage  # noqa: PLC0415 - loads much; only when asked

    async with asked_database(settings, _PATIENCE_SECONDS) as metadata:
        if metadata is None:
            return None
        backlog = await metadata.outbox.backlog()
        return _Answers(
            clock=await metadata.diagnosis.clock_milliseconds(),
            clock_skew_seconds=await clock_skew_seconds(metadata),
            backlog=backlog,
            growth=await metadata.diagnosis.recent_growth(GROWTH_SECONDS, _YOUNGEST_BLOBS),
            lease_owners=await metadata.upload_sessions.lease_owners(f"{node}/") if node else (),
            times_ahead=await find_times_ahead(metadata, settings, backlog),
            standing_damage=await read_standing_damage(metadata),
            signed_chain=await judged_checkpoints(metadata, settings),
        )


async def _read_engine(settings: Settings) -> EngineFacts:
    from entrepot.metadata.sql.engine_facts import read_engine_facts  # noqa: PLC0415 - loads drivers; only when asked

    async with asyncio.timeout(_PATIENCE_SECONDS):
        return await read_engine_facts(metadata_url(settings))


def _read_node_id(directory: Path) -> str:
    try:
        return (directory / "node-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def judge_clock_skew(seconds: float) -> Finding:
    """Judge how far the database's clock is ahead of this machine's."""
    direction = "ahead of" if seconds > 0 else "behind"
    message = f"the database's clock is {abs(seconds):.2f} s {direction} this machine's"
    if abs(seconds) > _SKEW_SECONDS:
        remedy = (
            "Run chrony or systemd-timesyncd on both. What is stored bears the database's time, the log that of this "
            "machine; an object store refuses requests once the clock is 15 minutes off."
        )
        return warned("clock-skew", message, remedy)
    return passed("clock-skew", message)


def judge_journal(backlog: Backlog, *, running: bool) -> Finding:
    """Judge the changes that the blob store does not know of yet."""
    waiting, oldest_seconds = backlog.count, backlog.oldest_milliseconds / 1000
    if waiting == 0:
        return passed("journal", "the journal in the blob store has every change")
    if not running:
        return passed("journal", f"{waiting} changes are not in the journal yet; the next start writes them")
    if oldest_seconds < _LATE_SECONDS:
        if backlog.furthest_milliseconds > _AHEAD_MILLISECONDS:
            message = f"{waiting} changes are not in the journal; nobody knows since when, as times of them lie ahead"
            remedy = (
                "The database's clock was ahead. The background worker dates them now, and writes them 5 s later: if "
                "this stays, see duty.failed in the log."
            )
            return warned("journal", message, remedy)
        return passed(
            "journal", f"{waiting} changes are not in the journal yet; the background worker is at it"
        )
    message = f"{waiting} changes are not in the journal, the oldest for {oldest_seconds / 60:.0f} min"
    remedy = (
        "The background worker can't write to the blob store: see duty.failed and journal.entry.postponed in the log. "
        "Until it can, only the database knows of these changes."
    )
    return warned("journal", message, remedy)


def judge_lease_owners(node: str, owners: Sequence[str], *, running: bool) -> Finding:
    """Judge whether another machine writes uploads under the id of this node."""
    if not node:
        return passed("node-id", "this node has no id yet; the first start makes it")
    boot = ProcessIdentity.of_this_process(node).boot
    found = [identity for owner in owners if (identity := ProcessIdentity.parse(owner)) is not None]
    elsewhere = [identity for identity in found if identity.boot != boot]
    if running and elsewhere:
        # A start gives back all leases that an earlier boot held under this id, so these came afterwards.
        message = f"{len(elsewhere)} uploads are held under the id of this node ({node}) by another machine"
        remedy = (
            "The data directory was copied. Stop this node, delete node-id in its data directory, start it."
        )
        return failed("node-id", message, remedy)
    return passed("node-id", f"no other machine is seen under the id of this node ({node})")


def judge_log_size(size_bytes: int, *, running: bool) -> Finding:
    """Judge the size of SQLite's write-ahead log."""
    message = f"SQLite's write-ahead log has {size_bytes / _MIB:.1f} MiB"
    if size_bytes <= _LARGE_LOG_BYTES:
        return passed("wal", message)
    if not running:
        return passed("wal", f"{message}; the next start folds it in")
    remedy = (
        "Another program keeps the database open for reading (fuser -v FILE), or the background worker fails: see "
        "duty.failed in the log. A restart of the registry folds it in."
    )
    return warned("wal", message, remedy)


def _tell_of_log_aside(log: Path) -> Finding:
    from entrepot.metadata.sql.sqlite_files import ASIDE_REMEDY  # noqa: PLC0415 - as above

    return warned("wal", f"{log} was put aside, and has not come back with its file", ASIDE_REMEDY)


def judge_durability(facts: EngineFacts) -> Finding:
    """Judge the options of PostgreSQL that decide whether what was acknowledged survives."""
    options = facts.options
    if options.get("is_standby") == "True":
        remedy = "Set metadata.url to the primary (several hosts and target_session_attrs=primary find it)."
        return failed("durability", "metadata.url leads to a standby, which can't be written", remedy)
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if options.get(name) == "off"]
    if off:
        message = (
            f"PostgreSQL runs with {' and '.join(off)} off: a crash may lose or damage acknowledged pushes"
        )
        return warned("durability", message, f"Turn on {', '.join(off)} in postgresql.conf and reload it.")
    if int(options.get("standbys", "0")) > 0 and not options.get("synchronous_standby_names"):
        message = (
            "PostgreSQL has standbys and none is synchronous: a failover may lose acknowledged pushes (F16)"
        )
        return warned("durability", message, "Set synchronous_standby_names, or synchronous_mode in Patroni.")
    return passed("durability", f"PostgreSQL {facts.version} keeps what it commits")

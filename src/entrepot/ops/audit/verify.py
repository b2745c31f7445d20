"""``entrepot audit verify``: proves that an export, or the database, holds the audit log as it was sealed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from entrepot.audit.database_verification import verify_database
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import Fault, FaultKind
from entrepot.kernel.errors import EntrepotError
from entrepot.ops.audit.options import (
    EXIT_INCOMPLETE,
    CheckpointsOption,
    PublicKeyOption,
    consulted_checkpoints,
    opened_audit_database,
    read_checkpoints,
    read_keys,
    shown_time,
    span_of_records,
)
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json, one_line
from entrepot.settings import metadata_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.settings import Settings

__all__ = ["verify_audit_log"]

_LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes that are read as one line, some ten times those of the longest record: what is longer is none."""
_OF_INDEX: Final = (
    "lists, searches and this verification may show less than the table has where they go by it; find out who may "
    "write to the database, run REINDEX audit_records (PostgreSQL: REINDEX TABLE audit_records), and verify again"
)
_OF_TABLE: Final = (
    "what lists and searches show may be other rows than those that were verified; find out who may write to the "
    "database, make the table as the migrations make it, and verify again"
)

_FileArgument = Annotated[Path | None, Parameter(help="An export; needs neither settings nor registry.")]
_UnsignedOption = Annotated[
    bool,
    Parameter(
        name="--accept-unsigned",
        negative="",
        help="Exit with 0 though nobody signed the export: its end may have been cut off.",
    ),
]
_DatabaseOption = Annotated[
    bool, Parameter(name="--database", negative="", help="Verify the database instead of an export.")
]


def verify_audit_log(
    file: _FileArgument = None,
    /,
    *,
    database: _DatabaseOption = False,
    checkpoints: CheckpointsOption = None,
    public_key: PublicKeyOption = (),
    accept_unsigned: _UnsignedOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Prove that nothing of the audit log was changed, dropped, cut off or replaced; name the first bad record.

    With --database, the checkpoints that this node keeps in its data directory are compared as well.

    Checkpoints that were kept elsewhere prove more than those that lie with the log, and a public key that was kept
    elsewhere more than the one that comes with them.

    Exit codes: 0 sound, 1 tampered with, 2 usage, 3 the log can't be read.
    """
    if database == (file is not None):
        raise CommandError(EXIT_USAGE, "entrepot: name an export, or give --database")
    trusted = read_keys(public_key)
    consulted: tuple[Path, ...] | None = None
    not_compared: Sequence[str] = ()
    try:
        if file is not None:
            verdict = _verify_file(file, read_checkpoints(checkpoints), trusted)
        else:
            settings = load_command_settings(config, make_flags(data)).settings
            kept, consulted = consulted_checkpoints(settings, checkpoints)
            verdict, not_compared = asyncio.run(_verify_database(settings, kept, trusted))
    except CommandError:
        raise
    except OSError as error:
        where = error.filename or file or "the log"
        raise CommandError(
            EXIT_INCOMPLETE, f"entrepot: {where} can't be read: {error.strerror or error}"
        ) from error
    except EntrepotError as error:
        raise CommandError(EXIT_INCOMPLETE, f"entrepot: {error}") from error
    if output == "json":
        shown: dict[str, Any] = msgspec.to_builtins(verdict)
        if consulted is not None:
            shown["checkpoint_directories"] = [str(directory) for directory in consulted]
            shown["not_compared"] = list(not_compared)
        print(format_json(shown))
    else:
        _print(verdict, pinned=bool(trusted))
        for message in not_compared:
            print(one_line(message))
        if consulted is not None:
            print(_consulted(consulted))
    is_accepted = accept_unsigned and all(fault.kind is FaultKind.UNSIGNED for fault in verdict.faults)
    return EXIT_OK if verdict.is_sound or is_accepted else EXIT_CHECK_FAILED


def _verify_file(file: Path, kept: Sequence[CheckpointRow], trusted: Sequence[bytes]) -> AuditVerdict:
    with file.open("rb") as opened:
        return verify_export(iter(lambda: opened.readline(_LONGEST_LINE), b""), kept, trusted)


async def _verify_database(
    settings: Settings, kept: Sequence[CheckpointRow], trusted: Sequence[bytes]
) -> tuple[AuditVerdict, Sequence[str]]:
    """Return what is wrong, and which indexes could not be compared."""
    from entrepot.metadata.sql.index_comparison import compare_indexes  # noqa: PLC0415 - an export needs no driver
    from entrepot.metadata.sql.table_comparison import (  # noqa: PLC0415 - as above
        AUDIT_TABLES,
        compare_tables,
    )

    async with opened_audit_database(settings) as metadata:
        verdict = await verify_database(metadata, kept, trusted)
    url = metadata_url(settings)
    strange = [
        Fault(FaultKind.TABLE, 0, "", f"{one}: {_OF_TABLE}")
        for one in await compare_tables(url, AUDIT_TABLES)
    ]
    indexes = await compare_indexes(url, "audit_records")
    lacking = [Fault(FaultKind.INDEX, 0, "", f"{one.message}: {_OF_INDEX}") for one in indexes.faults]
    verdict = msgspec.structs.replace(verdict, faults=(*verdict.faults, *strange, *lacking))
    return verdict, [one.message for one in indexes.unknown]


def _print(verdict: AuditVerdict, *, pinned: bool) -> None:
    for fault in verdict.faults:
        name = f" ({fault.record_id})" if fault.record_id else ""
        print(one_line(f"{fault.kind.upper()} at record {fault.sequence}{name}: {fault.message}"))
    if verdict.records:
        print(f"{verdict.records} records follow one another soundly, from {verdict.first} to {verdict.last}")
    else:
        print("there are no records" if verdict.is_sound else "no record is proven to be as it was")
    if verdict.signed:
        whose = "a key that was given" if pinned else "the key that comes with the log"
        print(f"records up to {verdict.signed} are signed, with {whose}")
    if verdict.is_key_unknown:
        print(
            "no checkpoint given is signed with the key of the export: whoever holds the file may have signed it, or "
            "the keys were rotated (--public-key tells)"
        )
    if verdict.uncovered is not None:
        print(f"{span_of_records(*verdict.uncovered)} not covered by a signature yet")
    if verdict.since is not None and verdict.until is not None and verdict.made_at is not None:
        since, until, made_at = map(shown_time, (verdict.since, verdict.until, verdict.made_at))
        print(f"asked for: from {since} to {until}, at {made_at}")
    if verdict.is_dated_ahead:
        print(
            "that is later than the clock of this machine says: one of the two was wrong, or whoever signed the export "
            "made the time up, by which old records count as purged and not cut off"
        )
    if verdict.erased:
        print(f"{verdict.erased} records have no personal data any more")
    if verdict.unaccounted:
        print(f"{verdict.unaccounted} of them are not accounted for by a record of an erasure")
    if verdict.unsealed:
        print(one_line(f"{verdict.unsealed} records wait to be sealed{_long_wait(verdict)}"))


def _long_wait(verdict: AuditVerdict) -> str:
    """Return what is odd about a record that no registry has sealed yet, empty without one."""
    if verdict.waiting_since is None:
        return ""
    oldest = f"the oldest ({verdict.waiting_record}) since {shown_time(verdict.waiting_since)}"
    return f", {oldest}: no registry has run since, or somebody put it there"


def _consulted(directories: Sequence[Path]) -> str:
    """Return the line that says whose checkpoints the database was compared with beside its own."""
    if not directories:
        return "compared with no checkpoints but those in the database: a cut of its end may have taken them along"
    return one_line(f"compared with the checkpoints in {' and '.join(map(str, directories))}")

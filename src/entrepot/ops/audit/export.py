"""``entrepot audit export``: writes a part of the audit log in a form that proves itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.audit.export import AuditExport
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.client.new_files import is_taken, new_file
from entrepot.client.times import FromOption, ToOption  # noqa: TC001  # read at run time
from entrepot.observability.logging import configure_logging
from entrepot.ops.audit.end_signer import end_signer
from entrepot.ops.audit.options import opened_audit_database, read_times, span_of_records
from entrepot.ops.errors import EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from entrepot.audit.export_format import ExportHeader
    from entrepot.settings import Settings

__all__ = ["export_audit_log"]

_FileOption = Annotated[
    Path | None,
    Parameter(name="--output", help="File to write, which must not exist yet; else standard output."),
]


def export_audit_log(
    *,
    since: FromOption = "",
    until: ToOption = "",
    output: _FileOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Write the records of a time as lines of JSON, with the checkpoints that prove them; check with audit verify.

    What no checkpoint covers yet is sealed and signed first, and so is what the export says of itself: nothing in it
    can be made anew or cut off. Where that can't be, the export says so, and this command too, on standard error; the
    exit code stays 0.
    """
    configure_logging("warning", "console", "audit")
    settings = load_command_settings(config, make_flags(data)).settings
    first, end = read_times(since, until)
    _refuse_taken(output)
    count, header = run_to_its_end(_export(settings, first, end, output))
    if output is not None:
        print(f"{count} lines written to {output}")
    if header.unsigned_because:
        print(f"the export is not signed: {header.unsigned_because}", file=sys.stderr)
        if header.uncovered is not None:
            print(f"{span_of_records(*header.uncovered)} not covered by a checkpoint either", file=sys.stderr)
    if header.clocks_apart:
        print(
            f"the clocks of this machine and of the database are {header.clocks_apart // 1000} s apart, for which a "
            "verification may take the export for cut off; set the wrong one right and export again",
            file=sys.stderr,
        )
    return EXIT_OK


async def _export(
    settings: Settings, since: int, until: int, output: Path | None
) -> tuple[int, ExportHeader]:
    count = 0
    async with opened_audit_database(settings) as metadata:
        export = AuditExport(metadata, await asyncio.to_thread(end_signer, settings, metadata))
        begun = await export.begin(host_system_grant(ExportAuditLog), since, until)
        async with contextlib.aclosing(export.lines(begun)) as lines:
            with _destination(output) as file:
                async for line in lines:
                    file.write(line + b"\n")
                    count += 1
    return count, begun.header


def _refuse_taken(output: Path | None) -> None:
    """Say so before the work; whoever takes the name during it is not overwritten either."""
    try:
        if output is not None and is_taken(output):
            raise _exists(output)
    except OSError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {output} can't be written: {error.strerror}") from error


def _exists(output: Path) -> CommandError:
    return CommandError(EXIT_USAGE, f"entrepot: {output} exists; it would be overwritten")


@contextlib.contextmanager
def _destination(output: Path | None) -> Iterator[BinaryIO]:
    """Yield what to write to; a file gets its name when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with new_file(output) as file:
            yield file
    except FileExistsError as error:
        raise _exists(output) from error
    except OSError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {output} can't be written: {error.strerror}") from error

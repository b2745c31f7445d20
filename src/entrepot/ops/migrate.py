"""``entrepot migrate``: brings the metadata database to the schema of this program, after a copy of it was made."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.sql.migrate import migrate as migrate_metadata
from entrepot.metadata.sql.migrate import schema_version
from entrepot.ops.database_file import has_no_database
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.settings import Settings, metadata_path, metadata_url, uses_postgresql

__all__ = ["migrate"]

_CheckOption = Annotated[
    bool, Parameter(name="--check", negative="", help="Change nothing; exit 1 if something would be applied.")
]
_BackupOption = Annotated[
    Path | None,
    Parameter(
        name="--backup",
        help="Directory for the copy made before (SQLite; else use pg_dump). Default: backups in the data directory.",
    ),
]


def migrate(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    backup: _BackupOption = None,
    check: _CheckOption = False,
) -> int:
    """Bring the metadata database to this program's schema; run it with the registry stopped."""
    settings = load_command_settings(config, make_flags(data)).settings
    try:
        return _check(settings) if check else _apply(settings, backup)
    except EntrepotError as error:
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {error}") from error


def _check(settings: Settings) -> int:
    if has_no_database(settings):
        print("There is no database yet; the first start makes one.")
        return EXIT_CHECK_FAILED
    current, newest = asyncio.run(schema_version(metadata_url(settings)))
    if current == newest:
        print(f"The schema has version {current}, as this program needs; nothing would be applied.")
        return EXIT_OK
    if current > newest:
        raise CommandError(
            EXIT_CHECK_FAILED,
            f"entrepot: the schema has version {current}, this program knows versions up to {newest}; "
            "install the newer program",
        )
    print(f"The schema has version {current}; versions {current + 1} to {newest} would be applied.")
    return EXIT_CHECK_FAILED


def _apply(settings: Settings, backup: Path | None) -> int:
    directory = settings.data.directory / "backups" if backup is None else backup.absolute()
    if has_no_database(settings):
        metadata_path(settings).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    backups = None if uses_postgresql(settings) else directory
    report = asyncio.run(migrate_metadata(metadata_url(settings), backups, _report))
    if not report.applied:
        print(f"The schema has version {report.to_version}, as this program needs; nothing was applied.")
        return EXIT_OK
    print(f"The schema went from version {report.from_version} to {report.to_version}.")
    for name in report.applied:
        print(f"  applied {name}")
    return EXIT_OK


def _report(line: str) -> None:
    print(line, file=sys.stderr)

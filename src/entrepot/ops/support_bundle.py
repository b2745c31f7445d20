"""``entrepot support-bundle``: one file with what somebody needs to help, without what nobody else may have."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.client.streams import silence_output
from entrepot.kernel.errors import EntrepotError
from entrepot.ops.command_records import record_act
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, CommandError
from entrepot.ops.options import ConfigOption, DataOption, ListenOption, load_with_flags, make_flags
from entrepot.ops.support.archive import Archive
from entrepot.ops.support.known_secrets import known_secrets, secrets_in_directory
from entrepot.ops.support.parts import Members, Part, Wishes, list_parts
from entrepot.ops.support.redaction import Redactor
from entrepot.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.settings import LoadedSettings

__all__ = ["support_bundle"]

_PART_SECONDS: Final = 90.0
"""A part that asks a file system or a server that hangs is left behind; the bundle is made without it."""

_OutOption = Annotated[
    Path | None,
    Parameter(
        name=["--output", "-o"],
        help="The file to write. Default: entrepot-support-HOST-TIME.tar.gz in the current directory.",
    ),
]
_LogOption = Annotated[
    Path | None,
    Parameter(name="--log", help="File that standard error of the registry goes to; its end is added."),
]
_JournalOption = Annotated[
    bool,
    Parameter(name="--journal", negative="", help="Add the end of what journald keeps of the unit entrepot."),
]
_LinesOption = Annotated[
    int,
    Parameter(
        name="--lines",
        help="How many lines of --log and --journal to add.",
        validator=validators.Number(gte=1, lte=1_000_000),
    ),
]


def support_bundle(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    listen: ListenOption = None,
    output: _OutOption = None,
    log: _LogOption = None,
    journal: _JournalOption = False,
    lines: _LinesOption = 5000,
) -> int:
    """Write a tar.gz (mode 0600) with facts about this node, without secrets, for whoever is to help.

    Beside a running registry or without one; nothing is sent anywhere, nothing is changed. What can't be had is named,
    and the rest is written.
    """
    problems: Sequence[str] = ()
    try:
        loaded = load_with_flags(config, make_flags(data, listen))
    except SettingsError as error:
        loaded, problems = None, error.problems
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"entrepot-support-{platform.node() or 'host'}-{stamp}"
    path = (output or Path(f"{name}.tar.gz")).absolute()
    _refuse_bad_target(path)
    secrets = known_secrets(os.environ, config)
    if loaded is not None:
        secrets |= secrets_in_directory(loaded.settings.data.directory)
    archive = Archive(name, Redactor(secrets))
    _record(loaded, path)
    try:
        size = _fill(archive, Wishes(loaded, problems, log, journal, lines)).write(path)
    except OSError as error:
        _record(loaded, path, f"the file could not be written: {error.strerror}")
        raise CommandError(
            EXIT_CHECK_FAILED, f"entrepot: {path} can't be written: {error.strerror}"
        ) from error
    except KeyboardInterrupt:
        _record(loaded, path, "the command was interrupted")
        raise
    count = len(archive.sizes())
    _tell(f"\n{path}: {size / 1024:.0f} KiB, {count} files. Secrets are masked; names of repositories,")
    _tell("hosts and addresses are not. Look through it before you hand it on.")
    return EXIT_OK


@dataclass(slots=True)
class _Outcome:
    """What became of a part; `failure` is empty when it was gathered."""

    part: Part
    members: Members = field(default_factory=dict[str, object])
    failure: str = "it took too long"


def _refuse_bad_target(path: Path) -> None:
    """Say what is wrong before the work rather than after it."""
    if path.exists():
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {path} exists; name another file with --output")
    if not path.parent.is_dir():
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {path.parent} is no directory")


def _record(loaded: LoadedSettings | None, path: Path, failure: str = "") -> None:
    """Leave a record where there is a registry; with `failure` of why there is no file after all."""
    if loaded is not None:
        about, after = AuditObject("registry", ""), {"to": str(path)}
        asyncio.run(record_act(loaded.settings, AuditAction.SUPPORT_BUNDLE, about, after, failure))


def _tell(line: str) -> None:
    """Print what is only said. What the command is for is the file, which is made whether or not this is heard."""
    try:
        print(line, flush=True)
    except OSError as error:
        silence_output()
        with contextlib.suppress(OSError):
            print(
                f"entrepot: standard output can't be written: {error.strerror}; going on without it",
                file=sys.stderr,
            )


def _fill(archive: Archive, wishes: Wishes) -> Archive:
    """Add whatever can be had, and what is to be read first."""
    outcomes = [_gather(part, archive) for part in list_parts(wishes)]
    archive.add_text("README.txt", _render_readme(outcomes, archive.sizes()))
    return archive


def _gather(part: Part, archive: Archive) -> _Outcome:
    """Run a part on a thread that can be left behind, and add what it brings."""
    outcome = _Outcome(part)
    worker = threading.Thread(target=_collect, args=(outcome,), daemon=True)
    worker.start()
    worker.join(_PART_SECONDS)
    failure, members = outcome.failure, dict(outcome.members)
    for name, content in members.items():
        if isinstance(content, str):
            archive.add_text(name, content)
        else:
            archive.add_json(name, content)
    failure = archive.clean(failure)
    _tell(f"  {part.name:<13} {'FAILED: ' + failure if failure else part.contents}")
    return _Outcome(part, members, failure)


def _collect(outcome: _Outcome) -> None:
    try:
        outcome.members = outcome.part.collect()
    except Exception as error:  # noqa: BLE001 - supervises the parts, which meet machines nobody foresaw
        outcome.failure = (
            str(error) if isinstance(error, EntrepotError) else f"{type(error).__name__}: {error}"
        )
    else:
        outcome.failure = ""


def _render_readme(outcomes: Sequence[_Outcome], sizes: dict[str, int]) -> str:
    lines = [
        "Support bundle of an Entrepot node, made by `entrepot support-bundle`.",
        "",
        "What is in it:",
        *(f"  {one.part.name:<13} {one.part.contents}" for one in outcomes if not one.failure),
        "",
        "What could not be had:",
        *([f"  {one.part.name:<13} {one.failure}" for one in outcomes if one.failure] or ["  nothing"]),
        "",
        "What is not in it: blobs, manifests, rows of the database, private keys, values of environment variables.",
        "",
        "Secrets are masked as ********: the values of secret settings wherever they stood, and whatever looks like a",
        "password, a token, a signature, a private key or an Authorization header. Of a secret that the registry made,",
        "its prefix stays, with 16 digits that tell it from others and do not give it away: ept_…0123456789abcdef. So",
        "may it be with signed tokens. Not masked: names of repositories, tags and users, digests, host names,",
        "addresses, paths. Look through the files before you hand them on.",
        "",
        "Files:",
        *(f"  {size:>9}  {name}" for name, size in sizes.items()),
    ]
    return "\n".join(lines) + "\n"

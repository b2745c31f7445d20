"""The command line itself: names, help and exit codes. Commands are imported only when one of them is called."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cyclopts import App, CycloptsError

from entrepot import __version__
from entrepot.ops.errors import EXIT_USAGE, CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "Command", "build_application", "run_command_line"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its words, where its function lies, and one line of help."""

    words: tuple[str, ...]
    function: str
    summary: str


COMMANDS: tuple[Command, ...] = (
    Command(("serve",), "entrepot.ops.serve:serve", "Run the registry until it is told to stop."),
    Command(
        ("settings", "show"),
        "entrepot.ops.show_settings:show_settings",
        "Show the effective settings and where each comes from.",
    ),
    Command(
        ("migrate",),
        "entrepot.ops.migrate:migrate",
        "Bring the metadata database to this program's schema, or check whether that is needed.",
    ),
    Command(
        ("rebuild",),
        "entrepot.ops.rebuild:rebuild",
        "Make the metadata database again from the storage, or bring an older copy of it up to date.",
    ),
    Command(
        ("doctor",),
        "entrepot.ops.doctor:doctor",
        "Check this machine and the settings, and say what to do about faults.",
    ),
    Command(
        ("support-bundle",),
        "entrepot.ops.support_bundle:support_bundle",
        "Write a file with what somebody needs to help with this node, without secrets.",
    ),
    Command(
        ("verify",),
        "entrepot.ops.verify:verify",
        "Prove that everything stored is what was pushed; set aside or heal what is not.",
    ),
    Command(
        ("import",),
        "entrepot.ops.import_images:import_images",
        "Bring images in from a storage tree, a layout, an archive or a running registry.",
    ),
    Command(
        ("export",),
        "entrepot.ops.export_images:export_images",
        "Write images out as OCI layouts.",
    ),
    Command(
        ("backup", "create"),
        "entrepot.ops.backup_create:create_backup",
        "Take a snapshot of the registry, which may run, to a directory or a bucket.",
    ),
    Command(("backup", "list"), "entrepot.ops.backup_list:list_backups", "List the snapshots of a backup."),
    Command(
        ("backup", "verify"),
        "entrepot.ops.backup_verify:verify_backup",
        "Check that a snapshot can be restored.",
    ),
    Command(
        ("backup", "restore"),
        "entrepot.ops.backup_restore:restore_backup",
        "Restore a registry whole, its database, lost blobs, or single repositories.",
    ),
    Command(
        ("backup", "prune"),
        "entrepot.ops.backup_prune:prune_backups",
        "Remove old snapshots and what only they needed.",
    ),
    Command(
        ("version",),
        "entrepot.ops.version:show_version",
        "Show the versions of Entrepot and of what it runs on.",
    ),
)
_GROUPS = {
    "settings": "What the registry runs with.",
    "backup": "Snapshots of the registry, and the way back from them.",
}
_EPILOGUE = (
    "Exit codes: 0 done, 1 a check failed, 2 settings or usage can't be used; serve and verify have more, "
    "see their help."
)


def build_application() -> App:
    """Return the command line with every command registered but not yet imported."""
    application = App(
        name="entrepot",
        help="Entrepot, an enterprise registry for container images.",
        help_epilogue=_EPILOGUE,
        version=__version__,
        result_action="return_value",
    )
    groups = {name: App(name=name, help=text) for name, text in _GROUPS.items()}
    for group in groups.values():
        application.command(group)
    for command in COMMANDS:
        *outer, name = command.words
        target = groups[outer[0]] if outer else application
        target.command(command.function, name=name, help=command.summary)
    return application


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    application = build_application()
    try:
        code = cast("int | None", application(arguments, exit_on_error=False, print_error=True))
    except CycloptsError:
        return EXIT_USAGE
    except CommandError as error:
        print("\n".join(error.lines), file=sys.stderr)
        return error.exit_code
    return code or 0

"""The command line itself: names, help and exit codes. Commands are imported only when one of them is called."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cyclopts import App, CycloptsError, Group

from entrepot import __version__
from entrepot.client.catalogue import CLIENT_COMMANDS, CLIENT_GROUPS
from entrepot.client.errors import ClientError
from entrepot.ops.ending import EXIT_CODES, exit_code_of, exit_codes_of
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
        "entrepot.ops.rebuild.rebuild:rebuild",
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
        "entrepot.ops.verify.verify:verify",
        "Prove that everything stored is what was pushed; set aside or heal what is not.",
    ),
    Command(
        ("import",),
        "entrepot.ops.images.import_images:import_images",
        "Bring images in from a storage tree, a layout, an archive or a running registry.",
    ),
    Command(
        ("export",),
        "entrepot.ops.images.export_images:export_images",
        "Write images out as OCI layouts.",
    ),
    Command(
        ("backup", "create"),
        "entrepot.ops.backup.create:create_backup",
        "Take a snapshot of the registry, which may run, to a directory or a bucket.",
    ),
    Command(("backup", "list"), "entrepot.ops.backup.list:list_backups", "List the snapshots of a backup."),
    Command(
        ("backup", "verify"),
        "entrepot.ops.backup.verify:verify_backup",
        "Check that a snapshot can be restored.",
    ),
    Command(
        ("backup", "restore"),
        "entrepot.ops.backup.restore:restore_backup",
        "Restore a registry whole, its database, lost blobs, or single repositories.",
    ),
    Command(
        ("backup", "prune"),
        "entrepot.ops.backup.prune:prune_backups",
        "Remove old snapshots and what only they needed.",
    ),
    Command(
        ("admin", "list"),
        "entrepot.ops.admin.listing:list_administrators",
        "List the operations administrators, or everybody.",
    ),
    Command(
        ("admin", "reset-password"),
        "entrepot.ops.admin.break_glass:reset_password",
        "Give a person a new password, to be changed at the next login; their tokens end.",
    ),
    Command(
        ("admin", "unlock"),
        "entrepot.ops.admin.break_glass:unlock",
        "Let a person or robot who was locked out after wrong passwords try again.",
    ),
    Command(
        ("admin", "enable"), "entrepot.ops.admin.break_glass:enable", "Enable a person who was disabled."
    ),
    Command(
        ("admin", "grant-operations-admin"),
        "entrepot.ops.admin.break_glass:grant_operations_admin",
        "Make a person an operations administrator.",
    ),
    Command(
        ("keys", "list"),
        "entrepot.ops.keys.list:list_keys",
        "List the keys that sign tokens and the audit log.",
    ),
    Command(
        ("keys", "rotate"),
        "entrepot.ops.keys.change:rotate_keys",
        "Let the next signing key take over; what the old one signed stays good until it ends.",
    ),
    Command(
        ("keys", "revoke"),
        "entrepot.ops.keys.change:revoke_key",
        "End a signing key that others may know, and every token that it signed.",
    ),
    Command(
        ("keys", "rewrap"),
        "entrepot.ops.keys.rewrap:rewrap_keys",
        "Seal what is secret in the database anew, under another master key.",
    ),
    Command(
        ("keys", "renew"),
        "entrepot.ops.keys.renew:renew_keys",
        "Make new signing keys when the master key that seals the old ones is lost.",
    ),
    Command(
        ("audit", "show"),
        "entrepot.ops.audit.show:show_audit_log",
        "Show who did what, the newest first.",
    ),
    Command(
        ("audit", "export"),
        "entrepot.ops.audit.export:export_audit_log",
        "Write a part of the audit log in a form that proves itself.",
    ),
    Command(
        ("audit", "verify"),
        "entrepot.ops.audit.verify:verify_audit_log",
        "Prove that an export, or the database, holds the audit log as it was sealed.",
    ),
    Command(
        ("audit", "purge"),
        "entrepot.ops.audit.purge:purge_audit_log",
        "Remove records older than 180 days or more; the rest can still be proven.",
    ),
    Command(
        ("audit", "erase"),
        "entrepot.ops.audit.erase:erase_personal_data",
        "Erase the personal data of somebody who is gone; the log can still be proven.",
    ),
    Command(
        ("version",),
        "entrepot.ops.version:show_version",
        "Show the versions of Entrepot and of what it runs on.",
    ),
    Command(
        ("completion",),
        "entrepot.ops.completion:show_completion",
        "Print what teaches a shell to complete these commands.",
    ),
    *(Command(*command) for command in CLIENT_COMMANDS),
)
_GROUPS = {
    "settings": "What the registry runs with.",
    "admin": "The way back in, on the host and without a login; each is in the audit log.",
    "audit": "The record of who did what.",
    "backup": "Snapshots of the registry, and the way back from them.",
    "keys": "The keys that sign tokens and the audit log, and the master key that seals them.",
}
_CLIENT_WORDS = frozenset(command.words[0] for command in CLIENT_COMMANDS)
_OVER_THE_NETWORK = Group("Commands for whoever uses a registry, over its API", sort_key=2)
_ON_THE_HOST = Group("Commands on the registry's own host", sort_key=1)


def build_application() -> App:
    """Return the command line with every command registered but not yet imported."""
    application = App(
        name="entrepot",
        help="Entrepot, an enterprise registry for container images.",
        help_epilogue=EXIT_CODES,
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # it would end the process here, whatever called this
    )
    texts = {**CLIENT_GROUPS, **_GROUPS}
    groups = {name: App(name=name, help=text, group=_section(name)) for name, text in texts.items()}
    for group in groups.values():
        application.command(group)
    for command in COMMANDS:
        *outer, name = command.words
        codes = exit_codes_of(command.words)
        if outer:
            groups[outer[0]].command(command.function, name=name, help=command.summary, help_epilogue=codes)
        else:
            application.command(
                command.function, name=name, help=command.summary, group=_section(name), help_epilogue=codes
            )
    return application


def _section(first_word: str) -> Group:
    """Return the part of the help that a command stands in; what both sides have is the host's."""
    of_client = first_word in _CLIENT_WORDS and first_word not in _GROUPS
    return _OVER_THE_NETWORK if of_client else _ON_THE_HOST


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    return exit_code_of(lambda: _run(arguments), tuple(arguments))


def _run(arguments: Sequence[str]) -> int | None:
    application = build_application()
    try:
        return cast("int | None", application(arguments, exit_on_error=False, print_error=True))
    except CycloptsError:
        return EXIT_USAGE
    except (CommandError, ClientError) as error:
        print("\n".join(error.lines), file=sys.stderr)
        return error.exit_code

"""``entrepot audit erase``: erases somebody's personal data; without --yes it only says in how many records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from entrepot.audit.erasure import AuditErasure, is_erasable
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import DeleteUser
from entrepot.ops.audit.options import opened_audit_database
from entrepot.ops.errors import EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.settings import Settings

__all__ = ["erase_personal_data"]

_SubjectOption = Annotated[
    str, Parameter(name="--subject", help="Whose: the id that audit show -o json calls user.id.")
]
_UserOption = Annotated[
    str, Parameter(name="--user", help="Whose: the name in the records, if one subject only acted under it.")
]
_YesOption = Annotated[
    bool, Parameter(name="--yes", negative="", help="Erase them; without this nothing is changed.")
]
_USAGE: Final = "entrepot: say whose: --subject ID or --user NAME"


def erase_personal_data(
    *,
    subject: _SubjectOption = "",
    user: _UserOption = "",
    yes: _YesOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Erase names, addresses and programs from somebody's records; what they did stays, under an id, and is proven."""
    if bool(subject) == bool(user):
        raise CommandError(EXIT_USAGE, _USAGE)
    if subject and not is_erasable(subject):
        raise CommandError(EXIT_USAGE, f"entrepot: {subject} is the id of no person or robot")
    settings = load_command_settings(config, make_flags(data)).settings
    found, records = run_to_its_end(_erase(settings, subject, user, change=yes))
    verb = "erased" if yes else "would be erased; nothing was changed (--yes)"
    print(f"personal data of {found} in {records} records {verb}")
    return EXIT_OK


async def _erase(settings: Settings, subject: str, user: str, *, change: bool) -> tuple[str, int]:
    grant = host_system_grant(DeleteUser)
    async with opened_audit_database(settings) as metadata:
        erasure = AuditErasure(metadata)
        found = subject or _only_one(user, await erasure.subjects(grant, user))
        return found, await (erasure.erase(grant, found) if change else erasure.count(grant, found))


def _only_one(user: str, subjects: Sequence[str]) -> str:
    """Return the subject of a name; a name that was given away again must not cost its new owner anything.

    Raises:
        CommandError: it is none, or several.
    """
    if not subjects:
        raise CommandError(EXIT_USAGE, f"entrepot: there is no record with personal data of {user}")
    if len(subjects) > 1:
        several = " or ".join(f"--subject {subject}" for subject in subjects)
        raise CommandError(EXIT_USAGE, f"entrepot: several acted as {user}; say which: {several}")
    return subjects[0]

"""Whether the password that the settings give the first administrator is good enough, before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.settings import metadata_path, uses_postgresql

if TYPE_CHECKING:
    from entrepot.settings import Settings

__all__ = ["require_first_password"]


def require_first_password(settings: Settings) -> None:
    """Refuse to make a registry whose first administrator could not be made.

    Of a database that is there it is not known whether anybody is in it, and if so, the password is not read: its first
    start finds out.

    Raises:
        CommandError: the password is too weak.
    """
    given = settings.admin.password.reveal()
    if not given or not settings.access.accounts or uses_postgresql(settings):
        return
    if metadata_path(settings).exists():
        return
    # Here, since they hold the words that no password may be: of no use to a start that makes nobody.
    from entrepot.auth.people.errors import PasswordRejectedError  # noqa: PLC0415  # see above
    from entrepot.auth.people.first_administrator import FIRST_ADMINISTRATOR  # noqa: PLC0415  # see above
    from entrepot.bootstrap.passwords import load_password_policy  # noqa: PLC0415  # see above

    reasons = load_password_policy(settings.passwords).reasons_against(given, (FIRST_ADMINISTRATOR,))
    if reasons:
        problem = f"entrepot: admin.password: {PasswordRejectedError(reasons)}"
        raise CommandError(EXIT_USAGE, problem, "Nothing was started or changed.")

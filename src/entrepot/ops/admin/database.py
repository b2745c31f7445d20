"""What the commands of ``entrepot admin`` share: the database, the people in it, and the right to change them."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from entrepot.auth.host import HostAuthorizer, host_operator, host_rights
from entrepot.auth.people.passwords import PasswordHashing
from entrepot.auth.people.people import People
from entrepot.auth.system_actions import UpdateUser
from entrepot.bootstrap.passwords import load_serving_policy
from entrepot.metadata.errors import MetadataTimeoutError
from entrepot.metadata.unit_guard import in_order
from entrepot.ops.command_stores import open_command_metadata
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_USAGE, CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.metadata.store import Metadata
    from entrepot.metadata.user_store import PersonRow
    from entrepot.settings import Settings
    from entrepot.settings.identity import PasswordSettings

__all__ = ["open_for_changes", "opened_people", "policy_of", "require_person", "update_grant"]


@contextlib.asynccontextmanager
async def open_for_changes(settings: Settings) -> AsyncIterator[Metadata]:
    """Open the database; what is changed comes before or after each change by a request, on whichever node."""
    async with open_command_metadata(settings) as metadata:
        try:
            with in_order():
                yield metadata
        except MetadataTimeoutError as error:
            raise CommandError(
                EXIT_CHECK_FAILED,
                "entrepot: other changes are ahead of this one, and it was not its turn in time; nothing was changed",
                "entrepot: run the command again; if that does not help, look for what holds the row of the table "
                "instance locked",
            ) from error


@contextlib.asynccontextmanager
async def opened_people(metadata: Metadata, policy: PasswordPolicy) -> AsyncIterator[People]:
    """Give out what manages people, with a pool that hashes passwords."""
    with contextlib.closing(PasswordHashing()) as hashing:
        yield People(metadata, hashing, policy, host_rights(metadata.standings))


async def update_grant() -> SystemGrant[UpdateUser]:
    """Return the right of the host's operator to change people."""
    return await HostAuthorizer().authorize_system(host_operator(), UpdateUser)


async def require_person(metadata: Metadata, name: str) -> PersonRow:
    """Return the person of a login name.

    Raises:
        CommandError: there is none.
    """
    person = await metadata.users.find_named(name)
    if person is None:
        raise CommandError(EXIT_USAGE, f"entrepot: there is no person {name}; see: entrepot admin list --all")
    return person


def policy_of(settings: Settings) -> PasswordPolicy:
    """Return what passwords must be, without a dictionary that can't be read, which is said on standard error."""
    return load_serving_policy(settings.passwords, _say_unreadable)


def _say_unreadable(_: PasswordSettings, error: Exception) -> None:
    reason = f"passwords.dictionary_file can't be read, so only the built-in words count: {error}"
    print(f"entrepot: warning: {reason}", file=sys.stderr)

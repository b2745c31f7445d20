"""What tells people apart: no two have names that differ by case only, or one e-mail address in whichever case.

Accounts from before this was a rule may have both. They stay as they are: they log in by their exact names, and only a
change of the address is held to the rule. The operator is told of them by `entrepot doctor`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from entrepot.auth.people.errors import EmailTakenError, NameTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from entrepot.auth.people.new_people import NewPerson
    from entrepot.metadata.store import Transaction
    from entrepot.metadata.user_store import PersonIdentity, PersonRow

__all__ = ["people_of_one_address", "people_of_one_name", "require_free_address", "require_free_identity"]


async def require_free_identity(tx: Transaction, new: NewPerson) -> None:
    """Refuse a name or an address that a person has; until the unit ends, nobody is given either.

    Raises:
        NameTakenError: somebody has the name, in whichever case.
        EmailTakenError: somebody has the e-mail address, in whichever case.
    """
    await tx.epochs.hold_order()
    if await tx.users.name_is_taken(new.name):
        raise NameTakenError("person", new.name)
    if new.profile.email and await tx.users.address_is_taken(new.profile.email):
        raise EmailTakenError


async def require_free_address(tx: Transaction, person: PersonRow, address: str) -> None:
    """Refuse to give a person an address that another one has; one that they have already may stay, or change its case.

    The unit holds the order of changes.

    Raises:
        EmailTakenError: another person has it.
    """
    kept = address.casefold() == person.email.casefold()
    if address and not kept and await tx.users.address_is_taken(address, but=person.id):
        raise EmailTakenError


def people_of_one_name(people: Iterable[PersonIdentity]) -> Sequence[Sequence[int]]:
    """Return the numbers of people whose names differ by case only, those of one name together."""
    return _alike(people, lambda person: person.name.casefold())


def people_of_one_address(people: Iterable[PersonIdentity]) -> Sequence[Sequence[int]]:
    """Return the numbers of people who have one e-mail address, those of one address together."""
    return _alike(people, lambda person: person.email.casefold())


def _alike(
    people: Iterable[PersonIdentity], mark: Callable[[PersonIdentity], str]
) -> Sequence[Sequence[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for person in people:
        if mark(person):
            found[mark(person)].append(person.id)
    return [numbers for numbers in found.values() if len(numbers) > 1]

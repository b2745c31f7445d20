"""Which names and e-mail addresses people have, whatever the case they are written in.

No unique index keeps them apart: databases may have duplicates from before there was a rule, and a program of the
version before, which writes beside this one during an upgrade, knows of none. A unit that gives a name or an address
holds the order of changes (`epochs.hold_order`), and looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.patterns import lowered
from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.user_store import PersonIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import ReadExecutor

__all__ = ["STATEMENTS", "address_is_taken", "name_is_taken", "read_identities"]

NAMED: Final = Statement(
    "taken_identities.named",
    "SELECT s.id FROM subjects s WHERE s.kind = 'user' AND lower(s.name) = :lowered LIMIT 1",
)
# The engines' lower() leaves all but ASCII alone, and a long s is an 's' by its case folding: addresses with more than
# ASCII, of which there are few, are compared by the caller.
ADDRESSES: Final = Statement(
    "taken_identities.addresses",
    """
    SELECT email FROM users WHERE email <> '' AND lower(email) = :folded AND subject_id <> :id
    UNION ALL
    SELECT email FROM users WHERE {email_not_ascii} AND subject_id <> :id
    """,
)
IDENTITIES: Final = Statement(
    "taken_identities.all",
    """
    SELECT s.id, s.name, u.email FROM subjects s JOIN users u ON u.subject_id = s.id
    WHERE s.kind = 'user' ORDER BY s.id
    """,
)

STATEMENTS: Final = (NAMED, ADDRESSES, IDENTITIES)


async def name_is_taken(executor: ReadExecutor, name: str) -> bool:
    """Whether a person has the name, in whichever case; names are ASCII."""
    return await executor.fetch_row(NAMED, lowered=lowered(name)) is not None


async def address_is_taken(executor: ReadExecutor, address: str, person_id: int) -> bool:
    """Whether anybody but one person has an e-mail address, in whichever case."""
    folded = address.casefold()
    rows = await executor.fetch_rows(ADDRESSES, folded=folded, id=person_id)
    return any(email.casefold() == folded for (email,) in rows)


async def read_identities(executor: ReadExecutor) -> Sequence[PersonIdentity]:
    """Return the names and addresses of all people, by number."""
    return [PersonIdentity(*row) for row in await executor.fetch_rows(IDENTITIES)]

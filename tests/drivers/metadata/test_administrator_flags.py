"""A person is shown as one who administers by name, by a group, or both, on both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.user_store import PersonQuery
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_administrators_by_name_and_by_group_are_told_apart(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A group that is disabled, that has another role, or has it in a project only, makes nobody one."""
    rows = IdentityRows(database)
    people = {
        name: await rows.user(name) for name in ("own", "both", "grouped", "off", "other", "local", "plain")
    }
    project = await rows.project("team")
    for name in ("own", "both"):
        await rows.give(people[name], "operations-admin")
    await rows.give(await rows.group("admins", people["both"], people["grouped"]), "operations-admin")
    await rows.give(await rows.group("admins-2", people["grouped"]), "operations-admin")
    disabled = await rows.group("former", people["off"])
    await rows.give(disabled, "operations-admin")
    await rows.disable(disabled)
    await rows.give(await rows.group("auditors", people["other"]), "auditor")
    await rows.give(await rows.group("locals", people["local"]), "operations-admin", project)

    page = await metadata.users.list_page(PersonQuery())

    told = {person.name: (person.is_administrator, person.administers_by_group) for person in page.people}
    nobody = dict.fromkeys(("off", "other", "local", "plain"), (False, False))
    assert told == {"own": (True, False), "both": (True, True), "grouped": (False, True), **nobody}
    one = await metadata.users.find(people["grouped"])
    assert one is not None
    assert (one.is_administrator, one.administers_by_group) == (False, True)

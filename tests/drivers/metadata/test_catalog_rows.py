"""The catalog: which repositories are in it, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.records import NamePage
from tests.drivers.metadata.material import ALICE

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

_NAMES = ("0/a", "a", "a-b/c", "a/b", "a/b-c", "a/b/c", "a.b", "a0", "a_b/x", "aa", "team/app")


async def _make(metadata: Metadata, *names: str) -> None:
    async def unit(tx: Transaction) -> None:
        for name in names:
            await tx.repositories.ensure(name, name.partition("/")[0], ALICE)

    await metadata.write(unit)


async def test_an_empty_registry_has_an_empty_catalog(metadata: Metadata) -> None:
    assert await metadata.catalog.list_names("", 10) == NamePage((), more=False)


async def test_names_come_in_byte_order_page_by_page(metadata: Metadata) -> None:
    await _make(metadata, *reversed(_NAMES))

    in_byte_order = tuple(sorted(_NAMES, key=str.encode))
    count = len(in_byte_order)
    assert await metadata.catalog.list_names("", 100) == NamePage(in_byte_order, more=False)
    assert await metadata.catalog.list_names("", count) == NamePage(in_byte_order, more=False)
    assert await metadata.catalog.list_names("", 4) == NamePage(in_byte_order[:4], more=True)
    assert await metadata.catalog.list_names("a/b", 2) == NamePage(("a/b-c", "a/b/c"), more=True)
    assert await metadata.catalog.list_names("a/b0", 100) == NamePage(
        ("a0", "a_b/x", "aa", "team/app"), more=False
    )
    assert await metadata.catalog.list_names("zzz", 5) == NamePage((), more=False)
    assert await metadata.catalog.list_names("", 0) == NamePage((), more=True)


async def test_a_deleted_repository_is_not_in_it(metadata: Metadata, database: RawDatabase) -> None:
    await _make(metadata, "team/app", "team/gone")
    await database.fetch("UPDATE repositories SET deleted_at = 1 WHERE name = 'team/gone'")

    assert await metadata.catalog.list_names("", 10) == NamePage(("team/app",), more=False)

    await _make(metadata, "team/gone")
    assert await metadata.catalog.list_names("", 10) == NamePage(("team/app", "team/gone"), more=False)


async def test_a_page_costs_one_statement(metadata: Metadata, counts: CountingObserver) -> None:
    await _make(metadata, "team/app")
    counts.reset()

    await metadata.catalog.list_names("", 10)

    assert (counts.statements.total(), counts.commits) == (1, 0)

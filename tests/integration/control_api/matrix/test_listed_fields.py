"""Listings are filtered and sorted by what they show, and by no other column (S25, S26): asked for every column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.control_api.routes import all_endpoints
from tests.integration.control_api.matrix.asking import Asked, path_of
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.stage import CLOSED, Stage, set_stage

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from entrepot.control_api.declarations import AnyEndpoint

_OF_ACTS: Final = {
    *("username", "user_id", "operation", "resource", "resource_type", "project_name", "address", "outcome"),
    *("request_id", "op_time"),
}
_ACTS_SORTED: Final = {"id", "op_time"}
_FILTERED: Final = {
    "api.user.list": {"username", "email", "creation_time"},
    "api.project.list": {"name", "public", "owner", "creation_time"},
    "api.repository.list-all": {"name"},
    "api.repository.list": {"name"},
    "api.robot.list": {"level", "project_id", "name", "creation_time"},
    "api.group.list": {"group_name"},
    "api.label.list": {"name"},
    "api.audit-log.list": _OF_ACTS,
    "api.project-log.list": _OF_ACTS,
    "api.audit-log-ext.list": _OF_ACTS,
    "api.project-log-ext.list": _OF_ACTS,
}
"""By listing, what `q` may name."""
_SORTED: Final = {
    "api.user.list": {"username", "user_id", "creation_time", "update_time"},
    "api.project.list": {"project_id", "name", "creation_time", "update_time"},
    "api.repository.list-all": {"id", "name", "creation_time", "update_time"},
    "api.repository.list": {"id", "name", "creation_time", "update_time"},
    "api.robot.list": {"name", "creation_time"},
    "api.group.list": {"group_name"},
    "api.label.list": {"name", "creation_time"},
    "api.audit-log.list": _ACTS_SORTED,
    "api.project-log.list": _ACTS_SORTED,
    "api.audit-log-ext.list": _ACTS_SORTED,
    "api.project-log-ext.list": _ACTS_SORTED,
}
"""By listing, what `sort` may name."""
_TRICKS: Final = (
    *("password", "password_hash", "salt", "secret", "subjects.name", "u.password_hash", "1", "name--"),
    *("name;DROP TABLE subjects", "name' OR '1'='1", "(SELECT 1)", "username desc", "NAME/**/", "rowid", "*"),
)


def _taking(field: str) -> dict[str, AnyEndpoint]:
    return {
        endpoint.operation: endpoint
        for endpoint in all_endpoints()
        if field in {one.name for one in msgspec.structs.fields(endpoint.inputs)}
    }


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


async def _columns(stage: Stage) -> list[str]:
    """Return the names of all columns of all tables."""
    tables = await stage.database.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
    names: set[str] = set()
    for (table,) in tables:
        names |= {row[1] for row in await stage.database.fetch(f"PRAGMA table_info({table})")}
    return sorted(names)


async def _answered(stage: Stage, operation: str, params: dict[str, Any]) -> httpx.Response:
    row = next(row for row in rows() if row.operation == operation)
    path = path_of(row, Asked(stage, "operations-admin", CLOSED))
    async with stage.administrator() as client:
        return await client.get(path, params=params)


async def _is_unknown(stage: Stage, operation: str, name: str) -> bool:
    """Whether `q` can't name it in any way: a field that is asked for in another way than it takes is refused, too."""
    answered = await _answered(stage, operation, {"q": f"{name}=~a"})
    return answered.status_code == 400 and "this listing can be filtered by" in answered.text


def test_the_listings_that_filter_and_sort_are_known_s26() -> None:
    assert set(_taking("q")) == {*_FILTERED, "api.search"}  # which takes any text, not terms
    assert set(_taking("sort")) == set(_SORTED)


async def test_no_listing_is_filtered_or_sorted_by_a_column_that_it_does_not_name_s25_s26(
    tmp_path: Path,
) -> None:
    """Every column of the database, and a few tricks, in every listing: 400."""
    async with set_stage(tmp_path) as stage:
        names = [*await _columns(stage), *_TRICKS]
        wrong: list[str] = []
        for operation, offered in _FILTERED.items():
            allowed = {_plain(name) for name in offered}
            wrong += [
                f"{operation} q={name}"
                for name in names
                if _plain(name) not in allowed and not await _is_unknown(stage, operation, name)
            ]
        for operation, offered in _SORTED.items():
            allowed = {_plain(name) for name in offered}
            wrong += [
                f"{operation} sort={name}"
                for name in names
                if _plain(name) not in allowed
                and (await _answered(stage, operation, {"sort": f"-{name}"})).status_code != 400
            ]

    assert wrong == []
    assert len(names) > 150


async def test_listings_are_sorted_by_what_they_name_s26(tmp_path: Path) -> None:
    async with set_stage(tmp_path) as stage:
        for operation, offered in _SORTED.items():
            for name in offered:
                assert (await _answered(stage, operation, {"sort": f"-{name}"})).status_code == 200

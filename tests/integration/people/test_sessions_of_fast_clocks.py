"""A login in a browser that a clock was ahead for does not outlive one that begins now (F27, MLPS 8.1.4.1b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from structlog.testing import capture_logs

from entrepot.auth.errors import InvalidCredentialsError
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.workers.accounts_upkeep import session_duty
from tests.integration.people.conftest import ADDRESS, ALICE_PASSWORD, ORIGIN, own
from tests.running.moved_clocks import MovedClocks, steady_clock

if TYPE_CHECKING:
    from entrepot.auth.people.sessions import BegunSession, LiveSession
    from tests.integration.people.conftest import Office

_YEARS: Final = 13 * 365 * 86_400_000
_WEEK_SECONDS: Final = 7 * 86_400


async def _begin(office: Office, name: str = "alice") -> BegunSession:
    return await office.sessions.log_in(name, ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)


async def _find(office: Office, secret: str) -> LiveSession:
    return await office.sessions.find(secret, ADDRESS, ORIGIN, forwarded=False)


async def _move(office: Office, milliseconds: int, *columns: str) -> None:
    changes = ", ".join(f"{column} = {column} + {milliseconds}" for column in columns)
    await office.database.fetch(f"UPDATE web_sessions SET {changes}")


_BEGUN: Final = ("created_at", "last_seen_at", "expires_at")
_USED: Final = ("last_seen_at",)
_KEPT_BY_AN_OLDER_NODE: Final = ("created_at", "expires_at")
"""One of the program before, which goes on noting when it is used, while nodes are upgraded one by one."""


@pytest.mark.parametrize("columns", [_BEGUN, _USED, _KEPT_BY_AN_OLDER_NODE])
@pytest.mark.parametrize("milliseconds", [120_000, _YEARS])
async def test_a_session_of_a_clock_that_was_ahead_is_over_for_good_f27(
    office: Office, columns: tuple[str, ...], milliseconds: int
) -> None:
    """It is ended by whoever shows it, so it does not come to life when the clock comes to its time."""
    await office.make("alice")
    begun = await _begin(office)
    await _move(office, milliseconds, *columns)

    with capture_logs() as logs, pytest.raises(InvalidCredentialsError):
        await _find(office, begun.secret)
    assert [(line["event"], line["session"]) for line in logs] == [("session.dated_ahead", begun.public_id)]
    assert 0 <= milliseconds // 1000 - logs[0]["seconds"] < 60
    assert await office.database.count("web_sessions") == 0

    again = await _begin(office)
    assert (await _find(office, again.secret)).session.public_id == again.public_id


@pytest.mark.parametrize("columns", [_BEGUN, _USED])
async def test_a_clock_that_is_put_back_by_less_than_a_minute_ends_no_session_f27(
    office: Office, columns: tuple[str, ...]
) -> None:
    await office.make("alice")
    begun = await _begin(office)
    await _move(office, 55_000, *columns)

    with capture_logs() as logs:
        live = await _find(office, begun.secret)
        await office.sessions.keep(live)

    assert (live.session.public_id, logs) == (begun.public_id, [])


async def test_such_a_session_is_refused_where_it_can_not_be_removed_f27(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.make("alice")
    begun = await _begin(office)
    await _move(office, _YEARS, *_BEGUN)

    async def refuse(unit: object) -> None:
        raise MetadataUnavailableError(f"read-only: {unit}")

    monkeypatch.setattr(office.metadata, "write", refuse)

    with pytest.raises(InvalidCredentialsError):
        await _find(office, begun.secret)


async def test_such_a_session_changes_nothing_and_is_listed_so_that_somebody_can_end_it_f27(
    office: Office,
) -> None:
    """Also one that was found to be good a moment before the clock was put back."""
    await office.make("alice")
    begun = await _begin(office)
    principal = (await _find(office, begun.secret)).principal
    await _move(office, _YEARS, *_BEGUN)

    assert await office.metadata.write(lambda tx: tx.web_sessions.hold_good(begun.public_id)) is False
    own_list = await office.sessions.list_own(own(principal))
    every = await office.sessions.list_all(office.grant(), 10, 0)
    assert [row.public_id for row in (*own_list, *every)] == [begun.public_id] * 2
    assert await office.sessions.count_all(office.grant()) == 1
    await office.sessions.revoke_own(own(principal), every[0].public_id)
    assert await office.database.count("web_sessions") == 0


@pytest.mark.parametrize("columns", [_BEGUN, _USED, _KEPT_BY_AN_OLDER_NODE])
async def test_the_upkeep_ends_such_sessions_though_nobody_shows_them_f27(
    office: Office, columns: tuple[str, ...]
) -> None:
    """And no others; it says which."""
    await office.make("alice")
    await office.make("bob")
    wrong, good = await _begin(office), await _begin(office, "bob")
    changes = ", ".join(f"{column} = {column} + 120000" for column in columns)
    await office.database.fetch(f"UPDATE web_sessions SET {changes} WHERE public_id = '{wrong.public_id}'")

    with capture_logs() as logs:
        await session_duty(office.metadata, await steady_clock(office.metadata)).run()

    assert await office.database.fetch("SELECT public_id FROM web_sessions") == [(good.public_id,)]
    assert [(line["event"], line["session"]) for line in logs] == [("session.dated_ahead", wrong.public_id)]
    assert 100 <= logs[0]["seconds"] <= 120


async def test_the_upkeep_ends_no_session_by_a_clock_that_is_behind_for_a_moment_f27(office: Office) -> None:
    """Seen by a process that has watched it for long, and by one that starts then."""
    await office.make("alice")
    begun = await _begin(office)
    clocks = MovedClocks()
    watched, started = await clocks.watched(office.metadata), clocks.watch()
    store = clocks.beside(office.metadata)
    clocks.jump(-_WEEK_SECONDS)
    await _move(office, _WEEK_SECONDS * 1000, *_BEGUN)

    for clock in (watched, started):
        await session_duty(store, clock).run()
    clocks.jump(_WEEK_SECONDS)
    await _move(office, -_WEEK_SECONDS * 1000, *_BEGUN)
    for clock in (watched, started):
        await session_duty(store, clock).run()
    clocks.pass_time(601)
    for clock in (watched, started):
        await session_duty(store, clock).run()

    assert (await _find(office, begun.secret)).session.public_id == begun.public_id


async def test_later_logins_of_anybody_remove_such_sessions_f27(office: Office) -> None:
    await office.make("alice")
    await office.make("bob")
    await _begin(office)
    await _move(office, _YEARS, *_BEGUN)

    bobs = await _begin(office, "bob")

    assert await office.database.fetch("SELECT public_id FROM web_sessions") == [(bobs.public_id,)]


async def test_ones_own_login_removes_them_and_none_takes_the_place_of_another_f27(office: Office) -> None:
    """Two are allowed: the one that was used under the wrong clock is not one of them."""
    await office.make("alice")
    good, wrong = await _begin(office), await _begin(office)
    await office.database.fetch(
        f"UPDATE web_sessions SET last_seen_at = last_seen_at + 3600000 WHERE public_id = '{wrong.public_id}'"
    )

    newest = await _begin(office)

    left = await office.database.fetch("SELECT public_id FROM web_sessions ORDER BY id")
    assert left == [(good.public_id,), (newest.public_id,)]


async def test_a_session_that_began_when_more_time_was_set_stays_f27(office: Office) -> None:
    """It ends later than one that begins now, and no clock is at fault."""
    await office.make("alice")
    await office.make("bob")
    begun = await _begin(office)
    await _move(office, 7 * 86_400_000, "expires_at")

    await _begin(office, "bob")

    assert (await _find(office, begun.secret)).session.public_id == begun.public_id

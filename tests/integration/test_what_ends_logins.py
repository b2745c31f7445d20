"""What ends what somebody got, as the table in docs/how-to/accounts.md says it, tried for each of its rows (S14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx
import pytest

from tests.processes.running import wait_for
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OTHER: Final = "Velvet-Harvest-63"
_PATIENCE: Final = 60.0
_LOOK_SECONDS: Final = 60.0
"""A process looks every five seconds whether an epoch moved."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntrepotWithAccounts]:
    with EntrepotWithAccounts(tmp_path_factory.mktemp("registry")) as running:
        yield running


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody with everything that one can get."""

    registry: EntrepotWithAccounts
    name: str
    number: int
    group: int
    session: str
    bearer: str
    refresh: str
    access: str

    def holds(self) -> dict[str, bool]:
        """Return what of it is still good."""
        own = f"{self.registry.url}/api/v2.0/users/current"
        tokens = f"{self.registry.url}/service/token"
        form = {
            "grant_type": "refresh_token",
            "service": "entrepot",
            "client_id": "docker",
            "refresh_token": self.refresh,
        }
        bearing = {"Authorization": f"Bearer {self.bearer}"}
        return {
            "session": httpx.get(
                own, headers={"Cookie": f"sid={self.session}"}, timeout=_PATIENCE
            ).status_code
            == 200,
            "refresh": httpx.post(tokens, data=form, timeout=_PATIENCE).status_code == 200,
            "bearer": httpx.get(f"{self.registry.url}/v2/", headers=bearing, timeout=_PATIENCE).status_code
            == 200,
            "access": _ask(self.registry, "GET", "/users/current", who=(self.name, self.access)) is not None,
        }


_Act: TypeAlias = "Callable[[EntrepotWithAccounts, _Person], object]"


def _ask(
    registry: EntrepotWithAccounts,
    method: str,
    path: str,
    body: object = None,
    *,
    who: tuple[str, str] = (ADMINISTRATOR.name, ADMINISTRATOR.secret),
) -> httpx.Response | None:
    """Ask the API, and return the answer, `None` when it says that one is not known."""
    reply = httpx.request(method, f"{registry.url}/api/v2.0{path}", json=body, auth=who, timeout=_PATIENCE)
    if reply.status_code == 401:
        return None
    assert reply.status_code < 300, reply.text
    return reply


def _number(reply: httpx.Response | None) -> int:
    assert reply is not None
    return int(reply.headers["location"].rpartition("/")[2])


def _person(registry: EntrepotWithAccounts, name: str, before: _Act | None = None) -> _Person:
    """Make somebody in a project, and let them get everything after what is done `before`."""
    profile = {"username": name, "email": f"{name}@example.org", "realname": name, "password": PASSWORD}
    number = _number(_ask(registry, "POST", "/users", profile))
    group = _number(_ask(registry, "POST", "/usergroups", {"group_name": f"of-{name}", "group_type": 2}))
    _ask(registry, "POST", "/projects", {"project_name": name})
    blank = _Person(registry, name, number, group, "", "", "", "")
    if before is not None:
        before(registry, blank)
    body = {"username": name, "password": PASSWORD}
    session = httpx.post(f"{registry.url}/api/v2.0/sessions", json=body, timeout=_PATIENCE)
    query = {"service": "entrepot", "offline_token": "true"}
    got = httpx.get(
        f"{registry.url}/service/token", params=query, auth=(name, PASSWORD), timeout=_PATIENCE
    ).json()
    made = _ask(registry, "POST", "/access-tokens", {"name": "laptop"}, who=(name, PASSWORD))
    assert made is not None
    return _Person(
        registry,
        name,
        number,
        group,
        session.cookies["sid"],
        got["token"],
        got["refresh_token"],
        made.json()["secret"],
    )


def _join_project(registry: EntrepotWithAccounts, person: _Person) -> object:
    body = {"role_id": 2, "member_user": {"username": person.name}}
    return _ask(registry, "POST", f"/projects/{person.name}/members", body)


def _member(registry: EntrepotWithAccounts, person: _Person) -> str:
    reply = _ask(registry, "GET", f"/projects/{person.name}/members?entityname={person.name}")
    assert reply is not None
    return f"/projects/{person.name}/members/{reply.json()[0]['id']}"


def _demote(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "PUT", _member(registry, person), {"role_id": 3})


def _leave_project(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "DELETE", _member(registry, person))


def _join_group(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "POST", f"/usergroups/{person.group}/members", {"user_id": person.number})


def _leave_group(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "DELETE", f"/usergroups/{person.group}/members/{person.number}")


def _assign(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "POST", "/role-assignments", {"subject_id": person.number, "role": "auditor"})


def _assign_group(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "POST", "/role-assignments", {"subject_id": person.group, "role": "auditor"})


def _revoke(registry: EntrepotWithAccounts, person: _Person) -> object:
    reply = _ask(registry, "GET", "/role-assignments?page_size=100")
    assert reply is not None
    (number,) = [one["id"] for one in reply.json() if one["subject_id"] == person.number]
    return _ask(registry, "DELETE", f"/role-assignments/{number}")


def _disable_and_enable(registry: EntrepotWithAccounts, person: _Person) -> object:
    _ask(registry, "PUT", f"/users/{person.number}/disabled", {"disabled": True})
    return _ask(registry, "PUT", f"/users/{person.number}/disabled", {"disabled": False})


def _change_password(registry: EntrepotWithAccounts, person: _Person) -> object:
    body = {"old_password": PASSWORD, "new_password": _OTHER}
    path = f"/users/{person.number}/password"
    return _ask(registry, "PUT", path, body, who=(person.name, PASSWORD))


def _reset_password(registry: EntrepotWithAccounts, person: _Person) -> object:
    return _ask(registry, "PUT", f"/users/{person.number}/password", {"new_password": _OTHER})


_GOES_ON: Final[dict[str, Any]] = {
    "joins-project": (None, _join_project),
    "demoted-there": (_join_project, _demote),
    "leaves-project": (_join_project, _leave_project),
}
_ENDS: Final[dict[str, Any]] = {
    "joins-group": (None, _join_group),
    "leaves-group": (_join_group, _leave_group),
    "gets-role": (None, _assign),
    "loses-role": (_assign, _revoke),
    "group-gets-role": (_join_group, _assign_group),
    "disabled": (None, _disable_and_enable),
    "own-password": (None, _change_password),
    "reset-password": (None, _reset_password),
}


def test_what_ends_logins_ends_them_and_nothing_else_does_s14(registry: EntrepotWithAccounts) -> None:
    """All at once, so that one look at the epochs is waited for; those that go on were watched as long."""
    acts = {**_GOES_ON, **_ENDS}
    people = {name: _person(registry, name, before) for name, (before, _) in acts.items()}
    assert all(all(person.holds().values()) for person in people.values())
    for name, (_, act) in acts.items():
        act(registry, people[name])

    def ended() -> bool:
        return not any(people[name].holds()["bearer"] for name in _ENDS)

    wait_for(ended, _LOOK_SECONDS, lambda: repr({name: people[name].holds() for name in _ENDS}))
    everything = {"session": True, "refresh": True, "bearer": True, "access": True}
    nothing = dict.fromkeys(everything, False)
    expected = dict.fromkeys(_GOES_ON, everything) | {
        name: {**nothing, "access": name != "reset-password"} for name in _ENDS
    }
    assert {name: person.holds() for name, person in people.items()} == expected

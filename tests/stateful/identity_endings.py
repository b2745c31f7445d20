"""Rules that end something without a change of rights: time, a log-out, too many wrong guesses, or nothing at all."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import rule

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from tests.stateful.identity_changes import IdentityChanges
from tests.stateful.identity_model import Credential
from tests.stateful.identity_stage import (
    GROUPS,
    PEOPLE,
    PROJECTS,
    REPOSITORIES,
    REQUESTABLE,
    TAGS,
    any_number,
    of_person,
    of_robot,
)
from tests.stateful.identity_world import ATTEMPTS, ENTRANCES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IdentityEndings"]

_OF_ROBOTS: Final = {"data plane": 200, "token service": 200, "token form": 200, "management": 404}
"""What the entrances at which robots can present themselves answer to one: none of them is a user."""
_GUESSES = ("Guessed+Wrongly+11", "ers_Guessed+12", "epr_Guessed+13")
_DEAD = tuple(prefix + "A" * 43 for prefix in ("ept_", "epr_", "ers_"))
"""No guesses: nobody guesses what was made here."""


class IdentityEndings(IdentityChanges):
    """Rules after which something is refused that was not taken from anybody."""

    @rule(slot=of_person)
    def let_access_token_expire(self, slot: int) -> None:
        """An access token whose time is over is refused, and so is the refresh token that it was good for."""
        person = self._people[slot]
        if not person.present or person.must_change:
            return
        asked = NewAccessToken(f"token-{next(self._names)}")
        made = self._world.create_access_token(person.name, person.password, asked)
        token = Credential("token", person, made.secret, made.token.public_id)
        # From elsewhere: a credential that was right is remembered for a minute by where it came from.
        refresh_token = self._world.refresh_token_from_elsewhere(
            person.name, made.secret, self._scopes({slot % PROJECTS: set(REQUESTABLE)})
        )
        self._refresh_tokens.append(
            Credential("refresh", person, refresh_token, version=person.version, parent=token)
        )
        self._world.let_end("token", token.public_id)
        token.ended = True
        self._credentials.append(token)
        self._touch(person)

    @rule(which=any_number)
    def delete_access_token(self, which: int) -> None:
        """Remove an access token, and with it what was issued for it."""
        tokens = [each for each in self._credentials if each.kind == "token" and not each.ended]
        tokens = [each for each in tokens if not each.owner.deleted]
        if not tokens:
            return
        token = tokens[which % len(tokens)]
        self._world.delete_access_token(token.owner.number, token.public_id)
        token.ended = True
        token.owner.version += 1
        self._touch(token.owner)

    @rule(slot=of_robot)
    def let_robot_expire(self, slot: int) -> None:
        """A robot whose time is over is refused at every entrance."""
        robot = self._robots.get(slot)
        if robot is None:
            return
        self.rotate_robot(slot)
        self._world.let_end("robot", str(robot.number))
        robot.deleted = True
        del self._robots[slot]

    @rule(which=any_number, how=st.sampled_from(["time", "owner", "administrator"]))
    def end_session(self, which: int, how: str) -> None:
        """A session ends by its time, by its owner or by an administrator; nobody else can end it (S7)."""
        sessions = [each for each in self._sessions if each.alive and not each.owner.must_change]
        if not sessions:
            return
        session = sessions[which % len(sessions)]
        path, owner = f"sessions/{session.public_id}", session.owner
        stranger = next((each for each in self._people if each is not owner and each.present), None)
        if stranger is not None and "operations-admin" not in stranger.every_system_role():
            # Auditors see everybody's sessions: to them it exists.
            sees_it = "auditor" in stranger.every_system_role()
            refusal = 403 if stranger.must_change or sees_it else 404
            assert self._world.end_session_as(path, stranger.name, stranger.password) == refusal
        if how == "time":
            self._world.let_end("session", session.public_id)
        else:
            asker = owner if how == "owner" else self._administrator
            assert self._world.end_session_as(path, asker.name, asker.password) == 200
        session.ended = True
        self._touch(owner)

    @rule(which=any_number, entrances=st.sets(st.sampled_from(ENTRANCES), min_size=1), guess=any_number)
    def lock_out(self, which: int, entrances: set[str], guess: int) -> None:
        """Wrong guesses count wherever they are made, and shut every entrance to the address they came from (S14).

        But for a robot that has the right secret, which the registry made: it is let in, and opens the others again.
        What has the form of such a secret and is none counts nowhere (T15).
        """
        credentials = [each for each in self._credentials if each.alive and not each.must_change]
        if not credentials:
            return
        credential = credentials[which % len(credentials)]
        name, address, doors = credential.owner.name, self._world.next_address(), sorted(entrances)
        for number in range(ATTEMPTS):
            for wrong in (_DEAD[number % len(_DEAD)], _GUESSES[(guess + number) % len(_GUESSES)]):
                status = self._world.knock(doors[number % len(doors)], address, name, wrong)
                assert status == 401, (credential, doors, number)
        for door in ENTRANCES:
            wrong = _GUESSES[(guess + ATTEMPTS) % len(_GUESSES)]
            assert self._world.knock(door, address, name, wrong) == 429, (credential, door, doors)
            status = self._world.knock(door, address, name, _DEAD[guess % len(_DEAD)])
            is_looked_up = credential.kind == "robot" and door in _OF_ROBOTS
            assert status == (401 if is_looked_up else 429), (status, credential, door, doors)
        for door in sorted(ENTRANCES, key=_OF_ROBOTS.__contains__):
            status = self._world.knock(door, address, name, credential.secret)
            expected = _OF_ROBOTS.get(door, 429) if credential.kind == "robot" else 429
            assert status == expected, (status, credential, door, doors)
        self._touch(credential.owner)

    @rule()
    def take_the_last_administrator(self) -> None:
        """Whoever alone administers the registry stays an administrator."""
        if any("operations-admin" in each.system_roles and each.present for each in self._people):
            return
        body, number = {"sysadmin_flag": False}, self._administrator.number
        assert self._world.api("PUT", f"users/{number}/sysadmin", body).status == 412
        first = json.loads(self._world.api("GET", "role-assignments?page_size=1").body)[0]
        assert (first["subject_id"], first["role"]) == (number, "operations-admin")
        assert self._world.api("DELETE", f"role-assignments/{first['id']}").status == 412

    def teardown(self) -> None:
        """Take everything, one by one, and leave no administrators behind: the first one is alone for the next.

        Also after something was found: a sequence that began otherwise than it did then would not find it again.
        """
        try:
            if self._projects and sys.exc_info()[0] is None:
                self._take_everything()
        finally:
            for person in self._people:
                if "operations-admin" in person.system_roles:
                    self._world.change("PUT", f"users/{person.number}/sysadmin", {"sysadmin_flag": False})

    def _take_everything(self) -> None:
        """End every sequence alike, whatever it was: chance alone seldom takes what it has given."""
        takings: list[Callable[[], None]] = [
            lambda: self._let_developers_create_for_a_while(0),
            lambda: self.set_member(1, 0, "developer"),
            lambda: self.replace_project(1),
            lambda: self.lock_out(self._steps, set(ENTRANCES), self._steps),
            lambda: self.let_access_token_expire(self._steps % PEOPLE),
            lambda: self.end_session(self._steps, ("time", "owner", "administrator")[self._steps % 3]),
            lambda: self.delete_access_token(self._steps),
            *(partial(self.set_administrator, slot, give=False) for slot in range(PEOPLE)),
            self.take_the_last_administrator,
            *(partial(self._take_system_roles, whose) for whose in range(PEOPLE + GROUPS)),
            lambda: self.set_group(0, set()),
            lambda: self.set_group(1, {0}),
            lambda: self.replace_group(1),
            *(
                partial(self.set_member, slot, whose, None)
                for slot in range(PROJECTS)
                for whose in range(PEOPLE + GROUPS)
            ),
            lambda: self.switch_robot(0, disabled=True),
            lambda: self.let_robot_expire(1),
            lambda: self.reset_password(0),
            lambda: self.switch_person(1, disabled=True),
            lambda: self.replace_person(2),
        ]
        for take in takings:
            take()
            self._settle()

    def _let_developers_create_for_a_while(self, slot: int) -> None:
        """What a token may create only because developers may ends with that, whatever its person may (S15)."""
        public = self._projects[slot].public
        self.set_project(slot, public, "developers")
        self._settle(*self._people)
        self.set_project(slot, public, "operators")
        limited = [each for each in self._bearers if each.limits is not None]
        of_developer = [each for each in self._bearers if each.owner is self._people[1]]
        for token in (*limited[-1:], *of_developer[-1:]):
            self._push(self._by_bearer(token, slot, "push"), slot, REPOSITORIES[1], TAGS[0], 0)

    def _take_system_roles(self, whose: int) -> None:
        for role in sorted(self._holder(whose).system_roles - {"operations-admin"}):
            self.toggle_system_role(whose, role)

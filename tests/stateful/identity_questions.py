"""What is asked after each step: whoever it concerned presents all that they have at every entrance.

A sequence that had to draw the right question after the right change would seldom find what outlives it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from hypothesis.stateful import invariant

from tests.stateful.identity_model import RobotModel, Session, may_list
from tests.stateful.identity_stage import (
    PROJECTS,
    REQUESTABLE,
    WATCHED,
    IdentityStage,
    refusal_of,
    status_of_issue,
)
from tests.stateful.node import basic

if TYPE_CHECKING:
    from tests.stateful.identity_model import Bearer, Credential, PersonModel

__all__ = ["IdentityQuestions"]

_MOST: Final = 4
"""How many of the youngest of each kind somebody presents."""


class IdentityQuestions(IdentityStage):
    """The invariants, and the questions that they are made of."""

    @invariant()
    def what_was_issued_is_as_good_as_the_model_says(self) -> None:
        """I6, S14: all of those whom the step concerned, and the youngest of everything, each in one project."""
        if not self._projects:
            return
        self._steps += 1
        focus = self._focus
        self._settle()
        for number, token in enumerate(self._bearers[-WATCHED:]):
            self._ask_bearer(token, (self._steps + number) % PROJECTS if focus is None else focus, number)
        for number, credential in enumerate(self._credentials[-WATCHED:]):
            project = (self._steps + number) % PROJECTS if focus is None else focus
            if (self._steps + number) % 2:
                self._pull(self._by_basic(credential, project, "pull"), project)
            else:
                self._read_project(credential, project)
        place = self._projects[self._steps % PROJECTS if focus is None else focus]
        reply = self._world.api("GET", f"projects/{place.name}", None, {})
        assert reply.status == (200 if place.public else 401)

    def _settle(self, *things: PersonModel | RobotModel) -> None:
        """Have everybody whom the changes so far concern present what they have."""
        self._touch(*things, project=self._focus)
        touched, self._touched = list(self._touched), {}
        focus, self._focus = self._focus, None
        for thing in touched:
            self._ask_all_of(thing, self._steps % PROJECTS if focus is None else focus)

    def _ask_all_of(self, thing: PersonModel | RobotModel, project: int) -> None:
        """Present what somebody has, at every entrance, the oldest first: each credential takes a new bearer token."""
        for number, token in enumerate([each for each in self._bearers if thing in each.versions][-_MOST:]):
            self._ask_bearer(token, project, number)
        for refresh in [each for each in self._refresh_tokens if each.owner is thing][-2:]:
            reply = self._world.redeem(refresh.secret, self._scopes({project: set(REQUESTABLE)}))
            assert reply.status == (200 if refresh.alive else 401), (refresh, reply.body)
        for credential in [each for each in self._credentials if each.owner is thing][-_MOST:]:
            self._ask_credential(credential, project)
        if isinstance(thing, RobotModel):
            return
        for session in [each for each in self._sessions if each.owner is thing][-2:]:
            self._ask_session(session)
        for robot in self._robots.values():
            if robot.sponsor is thing:
                credential = [each for each in self._credentials if each.owner is robot][-1]
                self._ask_credential(credential, project)
        if thing.present and not any(each.alive for each in self._sessions if each.owner is thing):
            self._begin_session(thing)

    def _ask_credential(self, credential: Credential, project: int) -> None:
        self._pull(self._by_basic(credential, project, "pull"), project)
        self._delete_nothing(self._by_basic(credential, project, "delete"), project)
        self._read_project(credential, project)
        headers = basic(credential.owner.name, credential.secret)
        reply = self._world.api("GET", "users/current", None, headers)
        assert reply.status == _status_of_self(credential), (credential, reply.body)
        wanted = {slot: set(REQUESTABLE) for slot in range(PROJECTS)}
        reply = self._world.issue(self._scopes(wanted), headers, offline=False)
        assert reply.status == status_of_issue(credential), (credential, reply.body)
        if reply.status == 200:
            self._take_bearer(credential.owner, credential.limits, json.loads(reply.body)["token"], wanted)

    def _ask_bearer(self, token: Bearer, project: int, number: int) -> None:
        if (self._steps + number) % 2:
            self._pull(self._by_bearer(token, project, "pull"), project)
        else:
            self._delete_nothing(self._by_bearer(token, project, "delete"), project)

    def _ask_session(self, session: Session) -> None:
        headers = {"Cookie": session.cookie}
        reply = self._world.api("GET", "users/current", None, headers)
        assert reply.status == (200 if session.alive else 401), session
        reply = self._world.api("GET", "users?page_size=1", None, headers)
        allowed = 200 if may_list(session.owner, "user:list") else 403
        assert reply.status == (allowed if session.alive else 401), session

    def _begin_session(self, person: PersonModel) -> None:
        begun = self._world.log_in(person.name, person.password)
        assert (begun is not None) == person.present
        if begun is not None:
            cookie, public_id = begun
            self._sessions.append(Session(person, cookie, person.version, public_id))


def _status_of_self(credential: Credential) -> int:
    """Return the status where everybody asks about themselves, also whose password is due; a robot is no person."""
    if not credential.alive:
        return refusal_of(credential)
    if isinstance(credential.owner, RobotModel):
        return 404
    limits = credential.limits
    return 403 if limits is not None and (limits.permissions, limits.projects) != (None, None) else 200

"""What is left of a bearer token when somebody's rights in one of its projects changed after it was issued.

A change of members, visibility or settings moves the epoch of a project, whomever it concerns. If tokens ended with
that, one person who becomes a member would end everybody's running pushes. So the rights there are decided anew.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.dead_tokens import LIMITS_GONE, PROJECT_CHANGED, SPONSOR_CHANGED, SUBJECT_CHANGED
from entrepot.auth.decision_memory import DecisionMemory
from entrepot.auth.epochs import WITHOUT_EPOCH
from entrepot.auth.errors import InvalidCredentialsError, InvalidTokenError
from entrepot.auth.scopes import EVERY_ACTION
from entrepot.oci.names import RepositoryName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrepot.auth.authentication import Authenticator
    from entrepot.auth.bearer.bearer_tokens import VerifiedToken
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.epochs import Epochs
    from entrepot.auth.principals import Principal

__all__ = ["PresentAccess"]

_MOST_REMEMBERED: Final = 4096
"""As many as there are tokens that are remembered as verified."""


class PresentAccess:
    """Tells what a token is good for now. Belongs to one event loop.

    A token that this process meets for the first time is compared with the epochs in the database. What moved later is
    seen by who watches them, for longer than the token lives; what moved before would not be, of a token from a time at
    which the clock was ahead (F27).

    As long as no epoch of its projects moved, that is what it says. Afterwards it costs one decision for each of its
    repositories in those projects, and then a look at a dictionary, until any epoch moves again or 30 s have passed.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        decisions: Decisions,
        epochs: Epochs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authenticator = authenticator
        self._decisions = decisions
        self._epochs = epochs
        self._remembered: DecisionMemory[Mapping[str, frozenset[str]]] = DecisionMemory(
            epochs, capacity=_MOST_REMEMBERED, clock=clock
        )
        self._met: dict[str, VerifiedToken] = {}

    async def of(self, verified: VerifiedToken, peer: Principal) -> Mapping[str, frozenset[str]]:
        """Return the actions by repository, and `catalog` under `*`: never more than the token says.

        Whether what is known of the epochs is fresh is for the caller to ask.

        Args:
            verified: the token.
            peer: where the request that presents it comes from.

        Raises:
            InvalidTokenError: its subject, the person who answers for it, or its access token has changed (S14).
            MetadataError: what may be done now is not known (I6).
        """
        if self._met.get(verified.token_id) is not verified:
            await self._meet(verified)
        principal = verified.principal
        issued = principal.access or {}
        unmoved = self._epochs.is_current(principal.subject, principal.epoch, verified.project_epochs)
        if not unmoved and not self._epochs.is_current(principal.subject, principal.epoch, {}):
            raise InvalidTokenError(SUBJECT_CHANGED, whose=principal)
        sponsor = principal.sponsor
        if sponsor is not None and not self._epochs.is_current(sponsor.person, sponsor.epoch, {}):
            raise InvalidTokenError(SPONSOR_CHANGED, whose=principal)
        if unmoved:
            return issued
        remembered = self._remembered.find(verified.token_id)
        if remembered is not None:
            return remembered
        # Read before anything is decided, so that what moves meanwhile is not remembered the wrong way.
        moves = self._remembered.moves()
        present = await self._decide(issued, self._moved(verified), await self._asker(verified, peer))
        self._remembered.keep(verified.token_id, present, moves)
        return present

    async def _meet(self, verified: VerifiedToken) -> None:
        """Refuse a token that was issued before something moved so long ago that the token should have ended since."""
        principal, sponsor = verified.principal, verified.principal.sponsor
        people = [(principal.subject, principal.epoch, SUBJECT_CHANGED)]
        if sponsor is not None:
            people.append((sponsor.person, sponsor.epoch, SPONSOR_CHANGED))
        people = [person for person in people if person[0] not in WITHOUT_EPOCH]
        now = await self._epochs.ask([subject for subject, _, _ in people], verified.project_epochs.keys())
        for subject, epoch, cause in people:
            if now.subjects.get(subject, math.inf) > epoch:
                raise InvalidTokenError(cause, whose=principal)
        for project, epoch in verified.project_epochs.items():
            if project in now.settled_projects and now.projects[project] > epoch:
                raise InvalidTokenError(PROJECT_CHANGED, whose=principal)
        while len(self._met) >= _MOST_REMEMBERED:
            del self._met[next(iter(self._met))]
        self._met[verified.token_id] = verified

    def _moved(self, verified: VerifiedToken) -> frozenset[str]:
        principal = verified.principal
        return frozenset(
            project
            for project, epoch in verified.project_epochs.items()
            if not self._epochs.is_current(principal.subject, principal.epoch, {project: epoch})
        )

    async def _asker(self, verified: VerifiedToken, peer: Principal) -> Principal:
        """Return the subject as `Decisions` knows it: without the token's list, which is what is in question.

        A token that came of an access token names it, but does not carry its limits (S15). They never grow, so what
        they forbid is not in the token either. All but `create`, which may follow from several permissions: the token
        may have it because all who push might create. When the project ends that, the person's own permission to
        create would do in its place if the limits were left out. So they are read again.
        """
        principal = verified.principal
        if principal.limits is None:
            return msgspec.structs.replace(
                principal, access=None, address=peer.address, forwarded=peer.forwarded, origin=peer.origin
            )
        try:
            return await self._authenticator.by_subject(
                principal.subject,
                principal.limits.credential,
                peer.address,
                peer.origin,
                forwarded=peer.forwarded,
            )
        except InvalidCredentialsError as error:
            raise InvalidTokenError(LIMITS_GONE, whose=principal) from error

    async def _decide(
        self, issued: Mapping[str, frozenset[str]], moved: frozenset[str], asker: Principal
    ) -> Mapping[str, frozenset[str]]:
        present = dict(issued)
        for name, actions in issued.items():
            # What may be done on the registry as a whole hangs on the subject's epoch, which is as it was.
            if name == EVERY_ACTION:
                continue
            repository = RepositoryName.parse(name)
            if repository.project in moved:
                standing = await self._decisions.on_repository(asker, repository)
                present[name] = actions & standing.actions
        return present

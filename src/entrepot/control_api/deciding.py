"""Binds what a request changes to the rights by which it was let in: both hold in one transaction, or neither does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from entrepot.auth.grants import ProjectGrant
from entrepot.auth.unmoved import epochs_of, require_unmoved
from entrepot.control_api.demands import Gate
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.metadata.unit_guard import guarded_units

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from entrepot.auth.principals import Principal
    from entrepot.control_api.request_context import RequestContext
    from entrepot.metadata.store import Transaction

__all__ = ["as_decided"]

T = TypeVar("T")


async def as_decided(context: RequestContext, work: Awaitable[T]) -> T:
    """Do the work of a request; if it changes something, its units look whether rights are as they were.

    Raises:
        InvalidCredentialsError: whoever asks is gone (S14).
        AccountChangingError: they, or the roles of the project, were changed since they were let in.
    """
    caller = context.caller
    if caller is None or caller.principal.kind == "anonymous" or context.head.method not in UNSAFE_METHODS:
        return await work
    with guarded_units(_Decided(caller.principal, context.grant)):
        return await work


class _Decided:
    """Implements :class:`entrepot.metadata.unit_guard.UnitGuard` by the epochs that the decision was made by."""

    def __init__(self, principal: Principal, grant: object) -> None:
        self._subjects = epochs_of(principal)
        self._projects = _epochs_of(grant)

    async def require(self, tx: Transaction) -> None:
        """See the protocol."""
        await require_unmoved(tx, self._subjects, self._projects)

    async def look(self, tx: Transaction) -> Callable[[], None]:
        """See the protocol."""
        subjects = await tx.epochs.of_subjects(self._subjects)
        projects = await tx.epochs.of_projects(self._projects) if self._projects else self._projects
        return partial(self._know, subjects, projects)

    def _know(self, subjects: Mapping[str, int], projects: Mapping[int, int]) -> None:
        self._subjects, self._projects = subjects, projects


def _epochs_of(grant: object) -> Mapping[int, int]:
    if isinstance(grant, Gate):
        return grant.project_epochs
    if isinstance(grant, ProjectGrant) and grant.epoch is not None:
        return {grant.project_id: grant.epoch}
    return {}

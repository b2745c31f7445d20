"""Lets a request to its endpoint: from a page of our own, by somebody known, with what the endpoint demands.

Refusals, and changes that fail for another reason, are noted for the audit log before they are answered.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import audit_record
from entrepot.auth.errors import (
    AccessDeniedError,
    AccountChangingError,
    ActionDisabledError,
    PasswordChangeRequiredError,
)
from entrepot.auth.principals import Principal
from entrepot.control_api.act_targets import endpoint_itself, known_caller, target_of
from entrepot.control_api.credentials import Caller, find_caller, find_session
from entrepot.control_api.deciding import AsDecided
from entrepot.control_api.demands import PublicDemand, Question
from entrepot.control_api.error_mapping import error_reply
from entrepot.control_api.errors import (
    ForeignRequestError,
    InputTooLargeError,
    InvalidInputError,
    MalformedRequestError,
)
from entrepot.control_api.failed_acts import failure_record
from entrepot.control_api.forgery import require_csrf_token, require_own_site
from entrepot.control_api.offered_fields import require_offered_fields
from entrepot.control_api.request_bodies import SMALL_BODY_BYTES
from entrepot.control_api.request_head import UNSAFE_METHODS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from entrepot.control_api.declarations import AnyEndpoint
    from entrepot.control_api.request_context import RequestContext
    from entrepot.control_api.request_head import RequestHead
    from entrepot.control_api.services import ControlServices
    from entrepot.kernel.asgi import Scope
    from entrepot.kernel.errors import EntrepotError

__all__ = ["Admitter", "admitter_of"]

T = TypeVar("T")

_REFUSALS = (
    AccessDeniedError,
    AccountChangingError,
    ActionDisabledError,
    ForeignRequestError,
    PasswordChangeRequiredError,
)
"""What is recorded as a refusal. Wrong credentials are recorded by whoever counts them; to be asked for any is none."""
_MAX_QUERY_FIELDS = 128
_FORM: Final = "application/x-www-form-urlencoded"
_KEY: Final = "entrepot_admitter"


class Admitter:
    """Asks, for each request, what its endpoint demands."""

    def __init__(self, services: ControlServices, external_url: str) -> None:
        self.services: Final = services
        self._external_url = external_url
        self.as_decided: Final = AsDecided()

    def accompany(self, scope: Scope) -> None:
        """Go with a request to where `admitter_of` finds it."""
        scope[_KEY] = self

    async def admit(
        self, endpoint: AnyEndpoint, context: RequestContext, path_values: Mapping[str, str]
    ) -> None:
        """Put the proof that the endpoint demands into the context.

        Raises:
            ForeignRequestError: a page of another site had a browser send this (S22).
            MalformedRequestError: a query field is there twice.
            InputTooLargeError: the body is.
            AuthenticationRequiredError, InvalidCredentialsError, LockedOutError: nobody is known.
            AccessDeniedError, PasswordChangeRequiredError, ProjectUnknownError: what is demanded can't be had.
            AuditUnavailableError: a refusal could not be noted.
        """
        context.operation, context.path_values = endpoint.operation, path_values
        context.note_failure = partial(self._note_failure, context)
        context.head = msgspec.structs.replace(context.head, success_status=endpoint.status)
        await self.noting_refusals(context, self._obtain(endpoint, context, path_values))

    async def admit_again(
        self, endpoint: AnyEndpoint, context: RequestContext, path_values: Mapping[str, str]
    ) -> None:
        """Put the proof into the context as it is to be had now, of a request that was admitted before.

        Raises:
            EntrepotError: as `admit`; whoever has the request handled notes a refusal.
        """
        caller = context.caller
        if caller is not None and caller.principal.limits is not None:
            # Its token may have expired, which moves no epoch; to look it up again costs no slow hash.
            self.services.memory.forget(caller.principal.subject)
        await self._obtain(endpoint, context, path_values)

    async def noting_refusals(self, context: RequestContext, work: Awaitable[T]) -> T:
        """Do the work, and note its refusal, if it is refused.

        Raises:
            AuditUnavailableError: the refusal could not be noted (I11).
        """
        try:
            return await work
        except _REFUSALS as error:
            await self._note(context, error)
            raise

    async def _obtain(
        self, endpoint: AnyEndpoint, context: RequestContext, path_values: Mapping[str, str]
    ) -> None:
        head = context.head
        try:
            require_own_site(head, self._external_url)
        except ForeignRequestError:
            found = await find_session(head, self.services)  # whose browser was made to send it
            context.caller = None if found is None else Caller(found.principal)
            raise
        demand = endpoint.demand
        if isinstance(demand, PublicDemand):
            _require_clear_request(endpoint, context)
            return
        caller = await self._find_caller(head)
        # Who asks is on record if they are refused; their session, and its token, is not theirs until then.
        context.caller = Caller(caller.principal)
        if caller.session is not None:
            require_csrf_token(head, caller.session.csrf_token)
            await caller.session.keep()
        context.caller = caller
        question = Question(
            self.services.authorizer, context.caller, path_values, head.header("x-is-resource-name")
        )
        context.grant = await demand.obtain(question)
        _require_clear_request(endpoint, context)

    async def _find_caller(self, head: RequestHead) -> Caller:
        """Return who asks. Whoever wants to change something is known, and decided about, by what holds now (S14).

        Raises:
            InvalidCredentialsError, LockedOutError: as :func:`find_caller`.
            MetadataUnavailableError: nobody can tell what holds now.
        """
        caller = await find_caller(head, self.services)
        if head.method not in UNSAFE_METHODS or caller.principal.kind == "anonymous":
            return caller
        epochs, principal = self.services.epochs, caller.principal
        await epochs.refresh()
        answering = principal.sponsor
        is_current = epochs.is_current(principal.subject, principal.epoch, {})
        if is_current and (answering is None or epochs.is_current(answering.person, answering.epoch, {})):
            return caller
        return await find_caller(head, self.services)  # remembered, or changed while it was checked

    async def _note_failure(self, context: RequestContext, status: int) -> None:
        record = await failure_record(context, status, self.services.targets, self.services.decisions)
        if record is not None:
            await self.services.notes.note(record)

    async def _note(self, context: RequestContext, error: EntrepotError) -> None:
        head = context.head
        principal = (
            context.caller.principal
            if context.caller is not None
            else Principal("anonymous", head.address, head.forwarded, origin=head.origin())
        )
        known = known_caller(context)
        target = (
            endpoint_itself(context)
            if known is None
            else await target_of(context, known, self.services.targets)
        )
        record = audit_record(
            principal,
            AuditAction.ACCESS_DENIED,
            target.about,
            outcome="failure",
            reason=str(error),
            status=error_reply(error).status,
            project_id=target.project_id,
        )
        await self.services.notes.note(record)


def admitter_of(scope: Any) -> Admitter:  # noqa: ANN401  # a scope is of another type in each framework
    """Return what lets a request to its endpoint."""
    admitter: Admitter = scope[_KEY]
    return admitter


def _require_clear_request(endpoint: AnyEndpoint, context: RequestContext) -> None:
    """Refuse what can't be read, once it is known that its sender may send such; others are on record as refused."""
    if context.body_failure is not None:
        raise context.body_failure
    # A MiB of JSON or of fields takes the event loop a fifth of a second, again and again (F41).
    most = SMALL_BODY_BYTES if isinstance(endpoint.demand, PublicDemand) else endpoint.most_body_bytes
    if context.body_bytes > most:
        raise InputTooLargeError(most)
    kind = context.head.header("content-type").partition(";")[0].strip().lower()
    if endpoint.encoding == "form" and kind != _FORM:
        raise InvalidInputError((f"the body has to be a form, of the type {_FORM}",))
    require_offered_fields(endpoint, _single_fields(context.head.query))


def _single_fields(query: str) -> dict[str, str]:
    """Return the fields, or refuse one that is there twice: of two values, a proxy may have checked the other one."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError as error:
        raise MalformedRequestError("the query can't be parsed") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedRequestError("the query names a field more than once")
    return fields

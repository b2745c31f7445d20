"""Access tokens: people manage their own, and administrators remove anybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from entrepot.auth.project_actions import ReadProject
from entrepot.auth.system_actions import ReadUser, UpdateUser
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OnOwnCredential, OnSelf, OnSystem
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.names import format_time
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, json_reply, page_reply

if TYPE_CHECKING:
    from entrepot.auth.access_tokens.access_tokens import AccessToken as TokenFacts
    from entrepot.auth.grants import OwnCredentialGrant, SelfGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["ACCESS_TOKEN_ENDPOINTS", "AccessToken"]

_OWN: Final = f"{API_PREFIX}/access-tokens"
_MOST_PROJECTS: Final = 100
"""How many are looked up; the service refuses more."""
_NOT_TAKEN: Final = "Refused: how long a token lives is said by `expires_in_days`."
_HIDDEN: Final = "How many projects it is good for besides that the one who asks may not see."
_OF_PERSON: Final = f"{API_PREFIX}/users/{{user_id}}/access-tokens"


class AccessToken(msgspec.Struct, frozen=True):
    """A token without its secret; a list that is null sets no limit, a time that is null did not or does not come."""

    id: str
    name: str
    permissions: tuple[str, ...] | None
    projects: tuple[str, ...] | None
    hidden_project_count: Annotated[int, msgspec.Meta(description=_HIDDEN)]
    creation_time: str
    expires_at: str | None
    last_use_time: str | None


class AccessTokenReq(msgspec.Struct, frozen=True):
    """A token to be made; without the lists it may all that its person may. In a session, `password` is needed."""

    name: str
    permissions: tuple[str, ...] | None = None
    projects: tuple[str, ...] | None = None
    expires_in_days: int | None = None
    expires_at: Annotated[int | str | None, msgspec.Meta(description=_NOT_TAKEN)] = None
    duration: Annotated[int | str | None, msgspec.Meta(description=_NOT_TAKEN)] = None
    password: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class AccessTokenCreated(msgspec.Struct, frozen=True):
    """A new token with its secret, which is shown this once, and its limits; a list that is null sets none."""

    id: str
    name: str
    secret: str
    expires_at: str | None
    permissions: tuple[str, ...] | None
    projects: tuple[str, ...] | None


class AccessTokenInputs(msgspec.Struct, frozen=True):
    """Which token is meant."""

    token_id: Annotated[str, msgspec.Meta(max_length=64)]


class PersonTokenListInputs(PageInputs, frozen=True):
    """Whose tokens are meant."""

    user_id: int


class PersonTokenInputs(msgspec.Struct, frozen=True):
    """Which token of whom is meant."""

    user_id: int
    token_id: Annotated[str, msgspec.Meta(max_length=64)]


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_time(milliseconds)


def _shown(token: TokenFacts, projects: tuple[str, ...] | None) -> AccessToken:
    """Return a token with those of its projects that may be seen."""
    return AccessToken(
        token.public_id,
        token.name,
        token.scopes.permissions,
        projects,
        len(token.scopes.projects or ()) - len(projects or ()),
        format_time(token.created_at),
        _time(token.expires_at),
        _time(token.last_used_at),
    )


def _page(tokens: tuple[TokenFacts, ...], page: PageInputs) -> tuple[TokenFacts, ...]:
    """Return the page of what nobody has more than a hundred of."""
    return tokens[page.offset : page.offset + page.page_size]


async def list_own_tokens(services: ControlServices, call: Call[SelfGrant, PageInputs, NoBody]) -> Reply:
    """List one's own tokens."""
    tokens = await services.access_tokens.list_own(call.grant)
    shown = [_shown(token, token.scopes.projects) for token in _page(tokens, call.inputs)]
    return page_reply(shown, len(tokens), call.inputs, call.head)


async def create_token(services: ControlServices, call: Call[SelfGrant, NoInputs, AccessTokenReq]) -> Reply:
    """Make a token for oneself.

    Raises:
        InvalidInputError: its end is given as other APIs have it, or it is for a project that one does not see.
    """
    body = call.body
    others = [name for name in ("expires_at", "duration") if getattr(body, name) is not None]
    if others:
        raise InvalidInputError(tuple(f"{name}: say expires_in_days, a number of days" for name in others))
    await _require_projects(services, call.grant, body.projects or ())
    asked = NewAccessToken(body.name, body.permissions, body.projects, body.expires_in_days, body.password)
    issued = await services.access_tokens.create(call.grant, asked)
    token = issued.token
    limits = token.scopes
    shown = AccessTokenCreated(
        token.public_id,
        token.name,
        issued.secret,
        _time(token.expires_at),
        limits.permissions,
        limits.projects,
    )
    return json_reply(shown, 201, (("location", f"{_OWN}/{token.public_id}"),))


async def _require_projects(services: ControlServices, grant: SelfGrant, projects: tuple[str, ...]) -> None:
    """Refuse a token that would be good for nothing; what one may not see is answered as what is not there (S19)."""
    for name in dict.fromkeys(projects[:_MOST_PROJECTS]):
        standing = await services.decisions.on_project(grant.principal, name)
        if standing is None or not standing.permissions:
            raise InvalidInputError((f"projects: there is no project {name}, or you may do nothing in it",))


async def delete_own_token(
    services: ControlServices, call: Call[OwnCredentialGrant, AccessTokenInputs, NoBody]
) -> Reply:
    """Remove one of one's own tokens."""
    await services.access_tokens.delete_own(call.grant, call.inputs.token_id)
    return DONE


async def list_tokens_of(
    services: ControlServices, call: Call[SystemGrant[ReadUser], PersonTokenListInputs, NoBody]
) -> Reply:
    """List the tokens of a person, with the projects that the one who asks sees: of others there is a number (S19)."""
    tokens = await services.access_tokens.list_of(call.grant, call.inputs.user_id)
    page = _page(tokens, call.inputs)
    names = {name for token in page for name in token.scopes.projects or ()}
    if not await services.access_tokens.are_own(call.grant, call.inputs.user_id):
        sight = await services.visibility.sight(call.grant.principal, ReadProject)
        names &= await services.projects.seen_among(sight, names)
    shown = [_shown(token, _within(names, token.scopes.projects)) for token in page]
    return page_reply(shown, len(tokens), call.inputs, call.head)


def _within(seen: set[str], projects: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if projects is None else tuple(name for name in projects if name in seen)


async def delete_token_of(
    services: ControlServices, call: Call[SystemGrant[UpdateUser], PersonTokenInputs, NoBody]
) -> Reply:
    """Remove a token of a person."""
    await services.access_tokens.delete_of(call.grant, call.inputs.user_id, call.inputs.token_id)
    return DONE


ACCESS_TOKEN_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_OWN,
        operation="api.access-token.list",
        operation_id="listAccessTokens",
        tag="accesstoken",
        summary="One's own access tokens, without their secrets; with the password only.",
        demand=OnSelf(),
        handler=list_own_tokens,
        inputs=PageInputs,
        body=NoBody,
        result=list[AccessToken],
    ),
    Endpoint(
        method="POST",
        path=_OWN,
        operation="api.access-token.create",
        operation_id="createAccessToken",
        tag="accesstoken",
        summary="Make an access token, whose secret is shown this once; with the password, which a session sends, too.",
        demand=OnSelf(),
        handler=create_token,
        inputs=NoInputs,
        body=AccessTokenReq,
        passed_over=frozenset(),
        result=AccessTokenCreated,
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_OWN}/{{token_id}}",
        operation="api.access-token.delete",
        operation_id="deleteAccessToken",
        tag="accesstoken",
        summary="Remove one of one's own access tokens, with the password or with that very token.",
        demand=OnOwnCredential(),
        handler=delete_own_token,
        inputs=AccessTokenInputs,
        body=NoBody,
    ),
    Endpoint(
        method="GET",
        path=_OF_PERSON,
        operation="api.access-token.list-of-person",
        operation_id="listUserAccessTokens",
        tag="accesstoken",
        summary="The access tokens of a person, without their secrets, and without the names of projects that the one "
        "who asks may not see.",
        demand=OnSystem(ReadUser),
        handler=list_tokens_of,
        inputs=PersonTokenListInputs,
        body=NoBody,
        result=list[AccessToken],
    ),
    Endpoint(
        method="DELETE",
        path=f"{_OF_PERSON}/{{token_id}}",
        operation="api.access-token.delete-of-person",
        operation_id="deleteUserAccessToken",
        tag="accesstoken",
        summary="Remove an access token of a person.",
        demand=OnSystem(UpdateUser),
        handler=delete_token_of,
        inputs=PersonTokenInputs,
        body=NoBody,
    ),
)

"""Grants and refusals: a token is only ever looked up, everybody else is decided about anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from entrepot.auth.decisions import ProjectStanding
from entrepot.auth.errors import (
    AccessDeniedError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    PasswordChangeRequiredError,
    ProjectMissingError,
    ProjectUnknownError,
)
from entrepot.auth.grants import Delete, Pull, Push
from entrepot.auth.principals import CredentialLimits, Principal
from entrepot.auth.project_actions import ReadProject, UpdateMember
from entrepot.auth.role_authorizer import RoleAuthorizer
from entrepot.auth.system_actions import CreateUser
from entrepot.oci.names import RepositoryName
from tests.unit.auth.identity_fakes import ANYBODY, TableDecisions, person, with_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import Action
    from entrepot.auth.principals import PrincipalKind

_NAME: Final = RepositoryName.parse("team/app")
_ALL: Final = frozenset({"pull", "push", "delete", "create", "overwrite"})
_TEAM: Final = ProjectStanding(7, "team", 3, frozenset({"project:read"}))


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        (Pull, "repository:team/app:pull"),
        (Push, "repository:team/app:pull,push"),
        (Delete, "repository:team/app:delete"),
    ],
)
async def test_t16_a_token_that_lacks_scope_and_nobody_are_told_what_to_ask_for(
    action: type[Action], scope: str
) -> None:
    """T2, T3."""
    authorizer = RoleAuthorizer(TableDecisions())

    with pytest.raises(InsufficientScopeError) as lacking:
        await authorizer.authorize(with_token({}), action, _NAME)
    with pytest.raises(AuthenticationRequiredError) as nobody:
        await authorizer.authorize(ANYBODY, action, _NAME)

    assert (lacking.value.scope, nobody.value.scope) == (scope, scope)


async def test_a_token_is_looked_up_and_nothing_is_decided() -> None:
    decisions = TableDecisions({"team/app": _ALL})
    authorizer = RoleAuthorizer(decisions)

    grant = await authorizer.authorize(with_token({"team/app": frozenset({"push", "create"})}), Push, _NAME)

    assert (grant.repository, grant.may_create, grant.may_overwrite) == (_NAME, True, False)
    assert decisions.asked == 0


@pytest.mark.parametrize("listed", ["team/ap", "team/app2", "team/App", "team", "team/app/", "*"])
async def test_t11_the_name_in_a_token_must_match_exactly(listed: str) -> None:
    authorizer = RoleAuthorizer(TableDecisions({"team/app": _ALL}))

    with pytest.raises(InsufficientScopeError):
        await authorizer.authorize(with_token({listed: _ALL}), Pull, _NAME)


async def test_s11_creating_and_overwriting_are_apart_from_pushing() -> None:
    found = [
        await RoleAuthorizer(TableDecisions({"team/app": frozenset({"pull", "push", *more})})).authorize(
            person(), Push, _NAME
        )
        for more in ((), ("create",), ("overwrite",))
    ]

    assert [(grant.may_create, grant.may_overwrite) for grant in found] == [
        (False, False),
        (True, False),
        (False, True),
    ]


async def test_a_pull_carries_no_right_to_create() -> None:
    grant = await RoleAuthorizer(TableDecisions({"team/app": _ALL})).authorize(person(), Pull, _NAME)

    assert (grant.may_create, grant.may_overwrite) == (False, False)


async def test_s6_a_mount_needs_a_grant_for_each_of_the_two_repositories() -> None:
    authorizer = RoleAuthorizer(TableDecisions({"team/app": _ALL}))

    await authorizer.authorize(person(), Push, _NAME)
    with pytest.raises(AccessDeniedError):
        await authorizer.authorize(person(), Pull, RepositoryName.parse("other/app"))


async def test_s19_missing_and_forbidden_get_the_same_text_for_each_action() -> None:
    authorizer = RoleAuthorizer(TableDecisions({"team/app": frozenset({"pull"})}))

    texts: set[str] = set()
    for name in ("team/app", "team/none", "nowhere/app"):
        with pytest.raises(AccessDeniedError) as refusal:
            await authorizer.authorize(person(), Push, RepositoryName.parse(name))
        texts.add(str(refusal.value))

    assert len(texts) == 1


@pytest.mark.parametrize("action", [Pull, Push, Delete])
@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"project:list"}, "project nope does not exist; ask an operations administrator to create it"),
        ({"project:create"}, "project nope does not exist; create it first (entrepot project create nope)"),
    ],
)
async def test_who_may_see_or_make_any_project_is_told_that_one_is_missing(
    action: type[Action], held: set[str], text: str
) -> None:
    """Pulls, too: docker looks for its layers first, and shows nothing of a refusal of that."""
    authorizer = RoleAuthorizer(TableDecisions(registry=frozenset(held), projects={"team": _TEAM, 7: _TEAM}))
    for principal in (person(), with_token({})):
        with pytest.raises(ProjectMissingError) as missing:
            await authorizer.authorize(principal, action, RepositoryName.parse("nope/app"))
        assert str(missing.value) == text
    with pytest.raises(AccessDeniedError):
        await authorizer.authorize(person(), action, _NAME)
    with pytest.raises(InsufficientScopeError):
        await authorizer.authorize(with_token({}), action, _NAME)


@pytest.mark.parametrize(
    ("limits", "kind", "told"),
    [
        (None, "user", True),
        (None, "robot", False),
        (CredentialLimits("token-1"), "user", True),
        (CredentialLimits("token-1", permissions=frozenset({"repository:push"})), "user", False),
        (CredentialLimits("token-1", projects=frozenset({"nope"})), "user", False),
    ],
)
async def test_where_everybody_makes_projects_all_people_who_may_are_told_that_one_is_missing_s15(
    limits: CredentialLimits | None, kind: PrincipalKind, told: bool
) -> None:
    async def everybody() -> bool:
        return True

    authorizer = RoleAuthorizer(TableDecisions(projects={"team": _TEAM, 7: _TEAM}), everybody)
    asker = msgspec.structs.replace(person(), limits=limits, kind=kind)

    with pytest.raises(ProjectMissingError if told else AccessDeniedError):
        await authorizer.authorize(asker, Push, RepositoryName.parse("nope/app"))
    with pytest.raises(AccessDeniedError):
        await authorizer.authorize(asker, Push, _NAME)


@pytest.mark.parametrize("action", [Pull, Push, Delete])
async def test_s15_s19_nobody_else_is_told_that_a_project_is_missing(action: type[Action]) -> None:
    """Not a token that came of an access token either: it does not say what that one may see."""
    everything = RoleAuthorizer(TableDecisions(registry=frozenset({"project:list", "project:create"})))
    limited = msgspec.structs.replace(with_token({}), limits=CredentialLimits("token-1"))
    nothing = RoleAuthorizer(TableDecisions(registry=frozenset({"catalog:read", "user:list"})))

    for authorizer, principal, refusal in (
        (everything, limited, InsufficientScopeError),
        (everything, ANYBODY, AuthenticationRequiredError),
        (nothing, with_token({}), InsufficientScopeError),
        (nothing, person(), AccessDeniedError),
    ):
        texts: set[str] = set()
        for name in ("nope/app", "team/app"):
            with pytest.raises(refusal) as caught:
                await authorizer.authorize(principal, action, RepositoryName.parse(name))
            texts.add(str(caught.value).replace(name, ""))
        assert len(texts) == 1


async def test_a_refusal_for_want_of_scope_says_nothing_of_a_role_that_may_be_there() -> None:
    with pytest.raises(InsufficientScopeError) as caught:
        await RoleAuthorizer(TableDecisions()).authorize(with_token({}), Push, _NAME)

    assert str(caught.value) == (
        "the token is not good for repository:team/app:pull,push: it was not asked for, or there is no such project, "
        "or you have no role there that permits it; ask who administers the project, or the registry"
    )


async def test_what_came_of_an_access_token_is_told_that_its_limits_may_be_in_the_way() -> None:
    """A bearer token does not carry them, so nothing is told of what its subject may (S19)."""
    token = msgspec.structs.replace(with_token({}), limits=CredentialLimits("token-1"))
    decisions = TableDecisions({"team/app": _ALL})

    with pytest.raises(InsufficientScopeError) as caught:
        await RoleAuthorizer(decisions).authorize(token, Delete, _NAME)

    assert str(caught.value) == (
        "the token is not good for repository:team/app:delete: it was not asked for, or the access token that you "
        "logged in with has limits that leave it out, or there is no such project, or you have no role there that "
        "permits it; ask who administers the project, or the registry"
    )
    assert decisions.asked == 0


async def test_whoever_is_known_may_talk_to_the_registry() -> None:
    authorizer = RoleAuthorizer(TableDecisions())

    for principal in (person(), with_token({}), msgspec.structs.replace(ANYBODY, access={})):
        assert (await authorizer.authorize_registry(principal)).principal is principal
    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_registry(ANYBODY)


async def test_the_catalog_is_for_those_who_may_read_it() -> None:
    authorizer = RoleAuthorizer(TableDecisions(registry=frozenset({"catalog:read"})))
    strict = RoleAuthorizer(TableDecisions())

    await authorizer.authorize_catalog(person())
    await strict.authorize_catalog(with_token({"*": frozenset({"catalog"})}))
    with pytest.raises(AccessDeniedError):
        await strict.authorize_catalog(person())
    with pytest.raises(AuthenticationRequiredError) as nobody:
        await strict.authorize_catalog(ANYBODY)
    # What the subject may is not what the token may (S15).
    with pytest.raises(InsufficientScopeError) as lacking:
        await authorizer.authorize_catalog(with_token({"catalog": _ALL}))
    assert (nobody.value.scope, lacking.value.scope) == ("registry:catalog:*", "registry:catalog:*")


_EVERYTHING: Final[list[Callable[[RoleAuthorizer, Principal], Awaitable[object]]]] = [
    lambda authorizer, principal: authorizer.authorize(principal, Pull, _NAME),
    lambda authorizer, principal: authorizer.authorize_registry(principal),
    lambda authorizer, principal: authorizer.authorize_catalog(principal),
    lambda authorizer, principal: authorizer.authorize_project(principal, ReadProject, "team"),
    lambda authorizer, principal: authorizer.authorize_system(principal, CreateUser),
    lambda authorizer, principal: authorizer.authorize_self(principal),
]


@pytest.mark.parametrize("ask", _EVERYTHING)
async def test_s17_whoever_must_choose_a_new_password_may_do_nothing_else(
    ask: Callable[[RoleAuthorizer, Principal], Awaitable[object]],
) -> None:
    authorizer = RoleAuthorizer(
        TableDecisions({"team/app": _ALL}, frozenset({"catalog:read", "user:create"}), {"team": _TEAM})
    )

    await ask(authorizer, person())
    with pytest.raises(PasswordChangeRequiredError):
        await ask(authorizer, msgspec.structs.replace(person(), must_change_password=True))


async def test_a_new_password_can_be_chosen_by_whoever_must() -> None:
    principal = msgspec.structs.replace(person(), must_change_password=True)

    authorizer = RoleAuthorizer(TableDecisions())
    assert (await authorizer.authorize_own_password(principal)).principal is principal


async def test_s19_outsiders_can_not_tell_a_private_project_from_a_missing_one() -> None:
    private = ProjectStanding(8, "private", 0, frozenset())
    authorizer = RoleAuthorizer(TableDecisions(projects={"team": _TEAM, "private": private}))

    grant = await authorizer.authorize_project(person(), ReadProject, "team")
    assert (grant.project_id, grant.project) == (7, "team")
    texts: set[str] = set()
    for project in ("private", "nowhere"):
        with pytest.raises(AccessDeniedError) as refusal:
            await authorizer.authorize_project(person(), ReadProject, project)
        texts.add(str(refusal.value))
        with pytest.raises(AuthenticationRequiredError):
            await authorizer.authorize_project(ANYBODY, UpdateMember, project)
    assert len(texts) == 1


async def test_who_sees_a_project_is_told_what_they_lack_in_it() -> None:
    authorizer = RoleAuthorizer(TableDecisions(projects={"team": _TEAM}))

    with pytest.raises(AccessDeniedError, match="member:update in project team"):
        await authorizer.authorize_project(person(), UpdateMember, "team")
    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_project(ANYBODY, UpdateMember, "team")


async def test_who_may_list_all_projects_is_told_that_there_is_none() -> None:
    authorizer = RoleAuthorizer(TableDecisions(registry=frozenset({"project:list"})))

    with pytest.raises(ProjectUnknownError):
        await authorizer.authorize_project(person(), ReadProject, "nowhere")


async def test_the_system_is_for_those_with_the_permission() -> None:
    authorizer = RoleAuthorizer(TableDecisions(registry=frozenset({"user:create"})))

    assert (await authorizer.authorize_system(person(), CreateUser)).action is CreateUser
    with pytest.raises(AccessDeniedError, match="user:create on the system"):
        await RoleAuthorizer(TableDecisions()).authorize_system(person(), CreateUser)
    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_system(ANYBODY, CreateUser)


async def test_s15_a_bearer_token_opens_nothing_of_the_control_plane() -> None:
    authorizer = RoleAuthorizer(TableDecisions(registry=frozenset({"user:create"}), projects={"team": _TEAM}))
    token = with_token({"team/app": _ALL})

    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_project(token, ReadProject, "team")
    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_system(token, CreateUser)
    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_self(token)
    with pytest.raises(AuthenticationRequiredError):
        await authorizer.authorize_own_password(token)


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (CredentialLimits("t", permissions=frozenset({"repository:pull"})), True),
        (CredentialLimits("t", projects=frozenset({"team"})), True),
        (CredentialLimits("t"), False),
        (None, False),
    ],
)
async def test_s15_a_limited_token_can_not_make_itself_a_better_one(
    limits: CredentialLimits | None, refused: bool
) -> None:
    principal = msgspec.structs.replace(person(), limits=limits)
    authorizer = RoleAuthorizer(TableDecisions())

    for ask in (authorizer.authorize_self, authorizer.authorize_own_password):
        if refused:
            with pytest.raises(AccessDeniedError):
                await ask(principal)
        else:
            assert (await ask(principal)).principal is principal
        with pytest.raises(AuthenticationRequiredError):
            await ask(ANYBODY)

"""What an endpoint demands before its handler is called: nothing, somebody, a person's own, or a permission.

Every endpoint names one of these. It says in types which proof the handler gets, and as data which permissions that
takes, from which the matrix of roles and endpoints and the documents are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from entrepot.auth.errors import AccessDeniedError, AuthenticationRequiredError, PasswordChangeRequiredError
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.roles import PUBLIC_PERMISSIONS
from entrepot.auth.system_actions import SystemAction
from entrepot.control_api.errors import UndeclaredActionError
from entrepot.control_api.names import project_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.grants import (
        ControlAuthorizer,
        OwnCredentialGrant,
        OwnPasswordGrant,
        ProjectGrant,
        SelfGrant,
        SystemGrant,
    )
    from entrepot.auth.principals import Principal
    from entrepot.control_api.credentials import Caller

__all__ = [
    "AnyAction",
    "Anyone",
    "Demand",
    "Gate",
    "InProject",
    "OnOwnCredential",
    "OnOwnPassword",
    "OnSelf",
    "OnSystem",
    "OneOf",
    "OwnGate",
    "OwnOr",
    "PersonGate",
    "PersonOr",
    "PersonOrOneOf",
    "Public",
    "PublicDemand",
    "Question",
]

AnyAction: TypeAlias = type[SystemAction] | type[ProjectAction]

_LIMITED_PERSON: Final = (
    "every person may do this, but an access token with limits takes {permission} on the system, among its own "
    "permissions and among those of its person: present one without limits, or the password"
)

G_co = TypeVar("G_co", covariant=True)
P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and what the path names."""

    authorizer: ControlAuthorizer
    caller: Caller
    path_values: Mapping[str, str]
    is_resource_name: str

    @property
    def principal(self) -> Principal:
        """The one who asks."""
        return self.caller.principal


class Demand(Protocol[G_co]):
    """A demand that takes somebody who asks, though it may be nobody in particular."""

    @property
    def kind(self) -> str:
        """What is demanded, as documents and the role matrix call it."""
        ...

    @property
    def actions(self) -> tuple[AnyAction, ...]:
        """The permissions of which one is needed; none when it takes no permission."""
        ...

    async def obtain(self, question: Question) -> G_co:
        """Return the proof.

        Raises:
            AuthenticationRequiredError, AccessDeniedError, PasswordChangeRequiredError: there is none.
            ProjectUnknownError: there is no such project, and the one who asks may know.
        """
        ...


@dataclass(frozen=True, slots=True)
class PublicDemand:
    """Demands nothing: credentials are not even looked at, so that it is answered when nothing else works."""

    kind: str = "public"
    actions: tuple[AnyAction, ...] = ()


Public = PublicDemand()


@dataclass(frozen=True, slots=True)
class Anyone:
    """Anybody may, also without credentials; wrong ones are refused. The handler is told who it is.

    Attributes:
        who: whose password is due is not at ease and has nothing to look at, not even what is public. All are let in
            to what a page needs to let them change it, or leave.
    """

    who: Literal["at ease", "at all"] = "at ease"
    actions: tuple[AnyAction, ...] = ()

    @property
    def kind(self) -> str:
        """What is demanded."""
        return "anyone" if self.who == "at ease" else "anyone at all"

    async def obtain(self, question: Question) -> Caller:
        """Return who asks."""
        if self.who == "at ease" and question.principal.must_change_password:
            raise PasswordChangeRequiredError
        return question.caller


@dataclass(frozen=True, slots=True)
class OnSelf:
    """Everybody who is somebody may: it is about what is their own."""

    kind: str = "self"
    actions: tuple[AnyAction, ...] = ()

    async def obtain(self, question: Question) -> SelfGrant:
        """Return the grant."""
        return await question.authorizer.authorize_self(question.principal)


@dataclass(frozen=True, slots=True)
class OnOwnCredential:
    """Everybody who is somebody may, also with an access token that has limits: it is about what they came with."""

    kind: str = "own credential"
    actions: tuple[AnyAction, ...] = ()

    async def obtain(self, question: Question) -> OwnCredentialGrant:
        """Return the grant."""
        return await question.authorizer.authorize_own_credential(question.principal)


@dataclass(frozen=True, slots=True)
class OnOwnPassword:
    """Everybody who is somebody may, also whose password is due: it is about who they are.

    Not a variety of :class:`OnSelf`: its grant is of another type, which opens nothing but one's name and password.
    """

    kind: str = "own password"
    actions: tuple[AnyAction, ...] = ()

    async def obtain(self, question: Question) -> OwnPasswordGrant:
        """Return the grant."""
        return await question.authorizer.authorize_own_password(question.principal)


@dataclass(frozen=True, slots=True)
class OnSystem(Generic[S]):
    """A permission on the registry as a whole."""

    action: type[S]
    kind: str = "system"

    @property
    def actions(self) -> tuple[AnyAction, ...]:
        """The one permission."""
        return (self.action,)

    async def obtain(self, question: Question) -> SystemGrant[S]:
        """Return the grant."""
        return await question.authorizer.authorize_system(question.principal, self.action)


@dataclass(frozen=True, slots=True)
class PersonOr(Generic[S]):
    """Every person may; it takes a permission on the system for who is none, as a robot, and for a limited token.

    For what people look up of each other. A robot is no colleague, and decided about as for any permission: by what it
    was given, and by what who answers for it holds, so that one that nobody answers for learns nothing.
    """

    action: type[S]
    kind: str = "person or"

    @property
    def actions(self) -> tuple[AnyAction, ...]:
        """The permission of who is no person."""
        return (self.action,)

    async def obtain(self, question: Question) -> SelfGrant | SystemGrant[S]:
        """Return the grant."""
        return await _grant_person_or(question, self.action)


@dataclass(frozen=True, slots=True)
class InProject(Generic[P]):
    """A permission in the project that the path names.

    Attributes:
        parameter: where: `project_name_or_id`, or `project_name`, which is never a number.
    """

    action: type[P]
    parameter: str = "project_name_or_id"
    kind: str = "project"

    @property
    def actions(self) -> tuple[AnyAction, ...]:
        """The one permission."""
        return (self.action,)

    async def obtain(self, question: Question) -> ProjectGrant[P]:
        """Return the grant for the project of the path; one of another project can't be had this way (S7)."""
        text = question.path_values[self.parameter]
        reads_numbers = self.parameter == "project_name_or_id"
        project = project_reference(text, question.is_resource_name) if reads_numbers else text
        return await question.authorizer.authorize_project(question.principal, self.action, project)


class Gate:
    """Hands a handler grants for what its endpoint declares, and for nothing else.

    For endpoints that learn from the body or from a row what they are about: robots and labels of a project or of the
    system under one path.

    Attributes:
        has_granted: whether a grant was given.
        place: the project that was asked for last, or the grant there once it was given; `None` before.
    """

    def __init__(self, question: Question, declared: tuple[AnyAction, ...]) -> None:
        self._question = question
        self._declared = declared
        self.has_granted = False
        self.place: ProjectGrant[Any] | str | int | None = None

    @property
    def principal(self) -> Principal:
        """The one who asks."""
        return self._question.principal

    def require_used(self) -> None:
        """Refuse to pass on what a handler answered without having asked.

        Raises:
            UndeclaredActionError: it did not ask.
        """
        if not self.has_granted:
            raise UndeclaredActionError("none")

    async def system(self, action: type[S]) -> SystemGrant[S]:
        """Return the grant.

        Raises:
            UndeclaredActionError: the endpoint does not declare it.
            AuthenticationRequiredError, AccessDeniedError: the one who asks may not.
        """
        self._require_declared(action)
        grant = await self._question.authorizer.authorize_system(self._question.principal, action)
        self.has_granted = True
        return grant

    async def project(self, action: type[P], project: str | int) -> ProjectGrant[P]:
        """Return the grant for a project by name or by number.

        Raises:
            UndeclaredActionError: the endpoint does not declare it.
            AuthenticationRequiredError, AccessDeniedError, ProjectUnknownError: the one who asks may not.
        """
        self._require_declared(action)
        self.place = project
        principal = self._question.principal
        grant = await self._question.authorizer.authorize_project(principal, action, project)
        self.place = grant
        self.has_granted = True
        return grant

    def project_of(self, text: str) -> str | int:
        """Return the name or number that a query field or body gives of a project."""
        return project_reference(text, self._question.is_resource_name)

    def _require_declared(self, action: AnyAction) -> None:
        if action not in self._declared:
            raise UndeclaredActionError(action.permission.name)


class OwnGate(Gate):
    """A gate that also grants what is the asker's own."""

    async def own(self) -> SelfGrant:
        """Return the grant.

        Raises:
            AuthenticationRequiredError, AccessDeniedError: nobody asks, or with a credential of limits.
            PasswordChangeRequiredError: a new password has to be chosen first.
        """
        grant = await self._question.authorizer.authorize_self(self._question.principal)
        self.has_granted = True
        return grant

    async def own_password(self) -> OwnPasswordGrant:
        """Return the grant to see who one is and to change one's password, also where that has to be done first.

        Raises:
            AuthenticationRequiredError, AccessDeniedError: nobody asks, or with a credential of limits.
        """
        grant = await self._question.authorizer.authorize_own_password(self._question.principal)
        self.has_granted = True
        return grant


@dataclass(frozen=True, slots=True)
class OwnOr:
    """What is one's own, or one of several permissions on what is somebody else's.

    Attributes:
        visible_to: permissions that open nothing here. To whoever has one, what they may not touch is forbidden; to
            others it does not exist.
    """

    actions: tuple[AnyAction, ...]
    kind: str = "own or one of"
    visible_to: tuple[AnyAction, ...] = ()

    async def obtain(self, question: Question) -> OwnGate:
        """Return the gate at which the handler asks; nobody gets so far without being known."""
        if question.principal.kind == "anonymous":
            raise AuthenticationRequiredError
        return OwnGate(question, self.actions + self.visible_to)


class PersonGate(OwnGate):
    """A gate at which people get what it takes a permission on the system for who is no person."""

    async def person_or(self, action: type[S]) -> SelfGrant | SystemGrant[S]:
        """Return the grant, as :class:`PersonOr` does.

        Raises:
            UndeclaredActionError: the endpoint does not declare it.
            AuthenticationRequiredError, AccessDeniedError: the one who asks may not.
            PasswordChangeRequiredError: a new password has to be chosen first.
        """
        self._require_declared(action)
        grant = await _grant_person_or(self._question, action)
        self.has_granted = True
        return grant


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several permissions, depending on what the request turns out to be about.

    It takes somebody who asks, unless one of the permissions is everybody's in a public project.
    """

    actions: tuple[AnyAction, ...]
    kind: str = "one of"

    async def obtain(self, question: Question) -> Gate:
        """Return the gate at which the handler asks; nobody in particular gets there only for what may be public."""
        _require_somebody(question, self.actions)
        return Gate(question, self.actions)


@dataclass(frozen=True, slots=True)
class PersonOrOneOf:
    """As :class:`OneOf`, but on the system it is every person's, as in :class:`PersonOr`."""

    actions: tuple[AnyAction, ...]
    kind: str = "person or one of"

    async def obtain(self, question: Question) -> PersonGate:
        """Return the gate at which the handler asks; nobody in particular gets there only for what may be public."""
        _require_somebody(question, self.actions)
        return PersonGate(question, self.actions)


async def _grant_person_or(question: Question, action: type[S]) -> SelfGrant | SystemGrant[S]:
    """Return the grant; of a person who comes with an access token that has limits, these decide (S15)."""
    authorizer, principal = question.authorizer, question.principal
    if principal.kind == "user" and not principal.is_limited:
        return await authorizer.authorize_self(principal)
    try:
        return await authorizer.authorize_system(principal, action)
    except AccessDeniedError as error:
        if principal.kind != "user":
            raise
        raise AccessDeniedError(_LIMITED_PERSON.format(permission=action.permission.name)) from error


def _require_somebody(question: Question, actions: tuple[AnyAction, ...]) -> None:
    in_project = (one.permission.name for one in actions if issubclass(one, ProjectAction))
    if question.principal.kind == "anonymous" and PUBLIC_PERMISSIONS.isdisjoint(in_project):
        raise AuthenticationRequiredError

"""Builds what knows people and machines, decides what they may, and issues tokens."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.access_tokens.access_tokens import AccessTokenLimits, AccessTokens
from entrepot.auth.authenticator import CredentialAuthenticator
from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.bearer.refresh_tokens import RefreshTokens
from entrepot.auth.cedar.engine import PolicyEngine
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.custom_roles import Roles
from entrepot.auth.epoch_watch import EpochWatch
from entrepot.auth.last_uses import LastUses
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.adoption import adopt_projects
from entrepot.auth.people.errors import PasswordRejectedError
from entrepot.auth.people.failures import LoginFailures
from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.groups import Groups
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.logins import PasswordLogins
from entrepot.auth.people.password_changes import PasswordChanges
from entrepot.auth.people.passwords import OWASP_FIRST, PasswordHashing
from entrepot.auth.people.people import People
from entrepot.auth.people.sessions import SessionLimits, Sessions
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.auth.robots.records import RobotLimits
from entrepot.auth.robots.robots import Robots
from entrepot.auth.robots.sponsored_decisions import SponsoredDecisions
from entrepot.auth.role_assignments import RoleAssignments
from entrepot.auth.role_authorizer import RoleAuthorizer
from entrepot.auth.role_decisions import RoleDecisions
from entrepot.auth.typed_names import NamedLogins, TypedNames
from entrepot.bootstrap.keys import open_sealing, open_token_ring
from entrepot.bootstrap.passwords import load_serving_policy
from entrepot.kernel.clock import LEEWAY_SECONDS
from entrepot.kernel.rate_budget import RateBudget
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.projects.configurations import Configurations
from entrepot.settings import SettingsError
from entrepot.token_service.issuing import TokenService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.keys.key_ring import KeyRing
    from entrepot.auth.login_watch import LoginWatch
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.auth.people.passwords import HashCost
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["Accounts", "Identity", "open_identity"]

_log: Any = structlog.get_logger()

_SERVICE: Final = "entrepot"
"""Who issues tokens and whom they are for; the same on all nodes, since refresh tokens are bound to it."""

_NOBODY_THERE: Final = (
    "it knows no person, though this node has served from one that does: it is not this registry's, or its restore is "
    "under way. Put the right one back, or finish the restore: this process tries again by itself"
)

_LONGEST_TOKEN_SECONDS: Final = 3600.0 + LEEWAY_SECONDS
"""The most that `bearer_token.lifetime_seconds` can be, and what is added: older moves of epochs concern no token."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The services by which people, groups, robots and their credentials are managed."""

    people: People
    password_changes: PasswordChanges
    administrators: Administrators
    groups: Groups
    sessions: Sessions
    robots: Robots
    access_tokens: AccessTokens
    roles: Roles
    role_assignments: RoleAssignments


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and what they may: what both edges and the token service share in one process.

    Attributes:
        service: whom tokens are for, as challenges name it.
    """

    service: str
    epochs: EpochWatch
    memory: CredentialMemory
    authenticator: CredentialAuthenticator
    decisions: SponsoredDecisions
    authorizer: RoleAuthorizer
    tokens: BearerTokens
    token_ring: KeyRing
    token_service: TokenService
    configurations: Configurations
    accounts: Accounts


@contextlib.asynccontextmanager
async def open_identity(
    settings: Settings,
    metadata: Metadata,
    notes: AuditNotes,
    *,
    hash_cost: HashCost = OWASP_FIRST,
    watch: LoginWatch | None = None,
    note_locked: Callable[[int], object] | None = None,
    makes_new: bool = True,
) -> AsyncIterator[Identity]:
    """Build everything, make the first administrator where there is nobody yet, and close it at the end.

    Args:
        settings, metadata, notes: what all of it is built on.
        hash_cost: what the hash of a password costs; nobody has reason to pay less but tests that log in all the time.
        watch: who is told of refused logins.
        note_locked: who is told whether signing keys are sealed with a master key that this node lacks (1) or not (0).
        makes_new: whether the first administrator is made; else a database without anybody is refused, and no keys are
            made in it.

    Raises:
        SettingsError: the password given for the first administrator is too weak, or the master key is not the one.
        MetadataError: the database can't be used, or has nobody in it where it must have somebody.
    """
    if not makes_new and not await metadata.users.any_exist():
        raise MetadataUnavailableError(_NOBODY_THERE)
    async with contextlib.AsyncExitStack() as stack:
        ring = await stack.enter_async_context(open_token_ring(settings, metadata, note_locked))
        names = TypedNames(metadata, (await open_sealing(settings, metadata)).derive("names that were typed"))
        epochs = EpochWatch(metadata.epochs, _LONGEST_TOKEN_SECONDS)
        await epochs.start()
        stack.push_async_callback(epochs.aclose)
        uses = LastUses(metadata)
        uses.start()
        stack.push_async_callback(uses.aclose)
        hashing = PasswordHashing(hash_cost)
        stack.callback(hashing.close)
        policy = await asyncio.to_thread(load_serving_policy, settings.passwords)
        if makes_new:
            await _make_first_administrator(settings, metadata, hashing, policy)
        await _adopt_projects(metadata)
        parts = _Parts(ring, names, epochs, uses, hashing, policy, watch)
        identity = _build(settings, metadata, notes, parts)
        stack.push_async_callback(identity.authenticator.aclose)
        yield identity


async def _make_first_administrator(
    settings: Settings, metadata: Metadata, hashing: PasswordHashing, policy: PasswordPolicy
) -> None:
    given = settings.admin.password.reveal()
    try:
        await ensure_first_administrator(metadata, hashing, policy, settings.data.directory, given)
    except PasswordRejectedError as error:
        raise SettingsError((f"admin.password: {error}",)) from error


async def _adopt_projects(metadata: Metadata) -> None:
    """Let a database that takes no writes be no reason not to serve pulls: the next start adopts."""
    try:
        await adopt_projects(metadata)
    except MetadataUnavailableError as error:
        _log.warning("adoption.failed", reason=str(error))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What has to be started or closed."""

    ring: KeyRing
    names: TypedNames
    epochs: EpochWatch
    uses: LastUses
    hashing: PasswordHashing
    policy: PasswordPolicy
    watch: LoginWatch | None


def _build(settings: Settings, metadata: Metadata, notes: AuditNotes, parts: _Parts) -> Identity:
    lockout = _lockout(settings)
    at_entrances, in_sessions = (
        NamedLogins(
            PasswordLogins(metadata, notes, parts.hashing, parts.policy, lockout, parts.watch, wrong_status),
            parts.names,
        )
        for wrong_status in (401, 403)
    )
    memory = CredentialMemory(parts.epochs)
    authenticator = _authenticator(metadata, notes, parts, at_entrances, lockout, memory)
    decisions = SponsoredDecisions(RoleDecisions(metadata.standings, PolicyEngine(), parts.epochs))
    rights = RightsOfOthers(metadata.standings, decisions)
    lifetime = settings.bearer_token.lifetime_seconds
    tokens = BearerTokens(parts.ring, _SERVICE, _SERVICE, lifetime)
    configurations = Configurations(
        metadata,
        decisions,
        token_minutes=max(lifetime // 60, 1),
        session_minutes=max(settings.web_session.idle_seconds // 60, 1),
    )
    return Identity(
        service=_SERVICE,
        epochs=parts.epochs,
        memory=memory,
        authenticator=authenticator,
        decisions=decisions,
        authorizer=RoleAuthorizer(decisions, configurations.everybody_makes_projects),
        tokens=tokens,
        token_ring=parts.ring,
        token_service=TokenService(
            metadata,
            authenticator,
            decisions,
            tokens,
            RefreshTokens(metadata, authenticator, _SERVICE),
            notes,
            _SERVICE,
            RateBudget(settings.bearer_token.issues_per_minute),
            look_for_moves=parts.epochs.refresh,
        ),
        configurations=configurations,
        accounts=Accounts(
            people=People(metadata, parts.hashing, parts.policy, rights),
            password_changes=PasswordChanges(
                metadata, notes, parts.hashing, parts.policy, lockout, rights, parts.watch
            ),
            administrators=Administrators(metadata, decisions),
            groups=Groups(metadata, rights),
            sessions=Sessions(metadata, at_entrances, parts.policy, _session_limits(settings), rights),
            robots=Robots(metadata, decisions, parts.hashing, memory, RobotLimits()),
            access_tokens=AccessTokens(metadata, memory, AccessTokenLimits(), rights, in_sessions),
            roles=Roles(metadata, decisions),
            role_assignments=RoleAssignments(metadata, decisions),
        ),
    )


def _authenticator(
    metadata: Metadata,
    notes: AuditNotes,
    parts: _Parts,
    passwords: NamedLogins,
    lockout: LockoutLimits,
    memory: CredentialMemory,
) -> CredentialAuthenticator:
    return CredentialAuthenticator(
        metadata=metadata,
        notes=notes,
        names=parts.names,
        passwords=passwords,
        hasher=parts.hashing,
        failures=LoginFailures(metadata.login_failures, lockout),
        memory=memory,
        uses=parts.uses,
        is_too_old=parts.policy.is_too_old,
        watch=parts.watch,
    )


def _lockout(settings: Settings) -> LockoutLimits:
    chosen = settings.lockout
    return LockoutLimits(chosen.attempts, chosen.window_seconds, chosen.lock_seconds)


def _session_limits(settings: Settings) -> SessionLimits:
    chosen = settings.web_session
    return SessionLimits(chosen.idle_seconds, chosen.absolute_seconds, chosen.concurrent)

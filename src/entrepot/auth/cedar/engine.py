"""Asks Cedar. Whatever is not plainly allowed is refused: errors of a policy, of a request, of the library (I6)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import cedarpy
import structlog

from entrepot.auth.cedar.policies import render_policies
from entrepot.auth.cedar.questions import REGISTRY, encode_entities, uid
from entrepot.auth.cedar.schema import SYSTEM_PREFIX, render_schema
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Collection

    from entrepot.auth.cedar.questions import Subject

__all__ = ["InvalidPoliciesError", "PolicyEngine"]

_log: Any = structlog.get_logger()

_cedar: Any = cedarpy
"""The same library: its types leave out what its dictionaries hold."""
_NOTHING: Final[frozenset[str]] = frozenset()
_ACTIONS_OF_ROLES: Final = {
    role.name: role.project | {SYSTEM_PREFIX + name for name in role.system}
    for role in BUILT_IN_ROLES.values()
}
"""What a built-in role permits wherever it is given, at most. A custom one is named by no built-in policy: what it
permits stands in `permissions`."""


class InvalidPoliciesError(EntrepotError):
    """Policies do not parse, or speak of what the schema does not have."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the policies are not valid: {reason}")
        self.reason = reason


class PolicyEngine:
    """Policies that were parsed and checked once. Synchronous, about 20 µs a permission, and safe to share.

    Where only the built-in policies hold, whoever has neither a role nor a permission that is about what is asked is
    refused without asking Cedar, but in a public project: those policies permit them nothing (tests ask them). Else
    anybody without credentials would have a registry ask about hundreds of permissions, and they, or whoever has a
    custom role on the system, could tell by the time which projects there are (S19, F41).
    """

    def __init__(self, policies: str | None = None) -> None:
        """Take the policies in Cedar's own form; none for those of the built-in roles.

        The latter are the same at each start, and tests hold them against the schema: 60 ms are spared.

        Raises:
            InvalidPoliciesError: as described there.
        """
        text = render_policies() if policies is None else policies
        self._only_built_in = policies is None
        self._schema = cedarpy.Schema.from_str(render_schema())
        try:
            self._policies = cedarpy.PolicySet.from_str(text)
        except ValueError as error:
            raise InvalidPoliciesError(str(error)) from error
        if policies is not None:
            self._require_valid(policies)

    def _require_valid(self, policies: str) -> None:
        result: cedarpy.ValidationResult = _cedar.validate_policies(policies, self._schema)
        if not result.validation_passed:
            raise InvalidPoliciesError("; ".join(str(fault) for fault in result.errors))

    @property
    def tells_repositories_apart(self) -> bool:
        """Whether policies may tell repositories of one project apart; the built-in ones never do."""
        return not self._only_built_in

    def in_project(
        self, subject: Subject, permissions: Collection[str], project: str, *, is_public: bool
    ) -> frozenset[str]:
        """Return which of the project permissions the subject has in a project."""
        if not is_public and self._is_refused(subject, permissions):
            return _NOTHING
        entities = encode_entities(subject, project, is_public=is_public)
        return self._allowed(subject, permissions, uid("Project", project), entities)

    def in_repository(
        self,
        subject: Subject,
        permissions: Collection[str],
        project: str,
        repository: str,
        *,
        is_public: bool,
    ) -> frozenset[str]:
        """Return which of the project permissions the subject has in one repository, which need not exist."""
        if not is_public and self._is_refused(subject, permissions):
            return _NOTHING
        entities = encode_entities(subject, project, repository, is_public=is_public)
        return self._allowed(subject, permissions, uid("Repository", repository), entities)

    def on_registry(self, subject: Subject, permissions: Collection[str]) -> frozenset[str]:
        """Return which of the system permissions the subject has."""
        asked = [SYSTEM_PREFIX + name for name in permissions]
        if self._is_refused(subject, asked):
            return _NOTHING
        allowed = self._allowed(subject, asked, uid("Registry", REGISTRY), encode_entities(subject))
        return frozenset(name.removeprefix(SYSTEM_PREFIX) for name in allowed)

    def _is_refused(self, subject: Subject, actions: Collection[str]) -> bool:
        if not self._only_built_in:
            return False
        roles = subject.project_roles | subject.system_roles
        return subject.permissions.isdisjoint(actions) and all(
            _ACTIONS_OF_ROLES.get(role, _NOTHING).isdisjoint(actions) for role in roles
        )

    def _allowed(
        self, subject: Subject, actions: Collection[str], resource: dict[str, str], entities: str
    ) -> frozenset[str]:
        principal = uid(subject.kind, subject.name)
        asked = list(actions)
        if not asked:
            return _NOTHING
        requests: list[dict[str, Any]] = [
            {
                "principal": principal,
                "action": uid("Action", action),
                "resource": resource,
                "context": json.dumps({"permission": action}),
            }
            for action in asked
        ]
        try:
            parsed = _cedar.Entities.from_json_str(entities, self._schema)
            results: list[cedarpy.AuthzResult] = _cedar.is_authorized_batch(
                requests, self._policies, parsed, self._schema
            )
        except (ValueError, TypeError, KeyError) as error:
            _log.error("decision.failed", errors=[str(error)])
            return _NOTHING
        faults = [str(fault) for result in results for fault in result.diagnostics.errors]
        if faults:
            _log.error("decision.failed", errors=faults[:5])
        return frozenset(
            action for action, result in zip(asked, results, strict=True) if _is_plain_allow(result)
        )


def _is_plain_allow(result: cedarpy.AuthzResult) -> bool:
    """Not merely no denial: what can't be decided is `NoDecision`, and a policy that fails is passed over."""
    return result.decision is cedarpy.Decision.Allow and not result.diagnostics.errors

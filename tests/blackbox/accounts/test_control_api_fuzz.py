"""Requests that nobody thought of, made from the API's own description of itself, as people of each built-in role.

No answer is a failure of the server, each is what the description says, and what wants a name works with a right one
only. The time is a budget: each operation has an equal share of it, and is tried at least once.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, strategies
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from entrepot.auth.roles import BUILT_IN_ROLES
from tests.blackbox.accounts.conftest import IN_PROJECTS
from tests.running.control_client import Account
from tests.running.with_accounts import PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.running.control_client import ControlClient

_CHECKS: Final = import_module("schemathesis.checks")  # whose types are not whole enough for strict checkers
_BUDGET_SECONDS: Final = 30.0
"""Of requests, on which each operation has an equal claim."""
_EXAMPLES: Final = 25
"""Per operation, if there is time."""
_LEAST_OPERATIONS: Final = 40
_MEMBERS: Final = ("limited-guest", *IN_PROJECTS)
_ROLES: Final = (*_MEMBERS, "auditor", "operations-admin")
"""From weak to strong: what the strong take away the weak have tried before."""
_ORDER: Final = ("get", "head", "post", "patch", "put", "delete")


@dataclass(slots=True)
class Fuzzing:
    """Who acts, what exists, and what came of it."""

    url: str
    accounts: Mapping[str, Account]
    known: Mapping[str, Any]
    """Values of path parameters that lead to something, by the names that Harbor's interface has for them."""
    successes: Counter[str] = field(default_factory=Counter[str])
    tried: Counter[str] = field(default_factory=Counter[str])
    guarded: set[str] = field(default_factory=set[str])
    """Operations that were seen to refuse nobody and wrong credentials."""
    has_failed: bool = False

    def send(self, case: Any) -> None:
        """Send one request as each role in turn."""
        label = case.operation.label
        self.tried[label] += 1
        self.has_failed = True
        for role, account in self.accounts.items():
            checks = [_CHECKS.not_a_server_error, _CHECKS.response_schema_conformance]
            if label not in self.guarded:
                checks.append(_CHECKS.ignored_auth)
            response = case.call_and_validate(headers={"Authorization": account.basic}, checks=checks)
            if 200 <= response.status_code < 300:
                self.successes[role] += 1
                self.guarded.add(label)
        self.has_failed = False

    def aimed(self, case: Any) -> Any:
        """Return the request with those path parameters known that can be."""
        parameters: dict[str, Any] = case.path_parameters or {}
        case.path_parameters = {name: self.known.get(name, value) for name, value in parameters.items()}
        return case


@pytest.fixture(scope="module")
def fuzzing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzing]:
    """Run a registry of its own, since an administrator who tries everything leaves nothing as it was."""
    settings = {"lockout": {"attempts": 1000}}
    with EntrepotWithAccounts(tmp_path_factory.mktemp("fuzzed"), settings=settings) as registry:
        control = registry.control()
        control.create_project("team")
        numbers = {role: control.create_user(Account(f"person.{role}", PASSWORD)) for role in (*_ROLES, "x")}
        for role in _MEMBERS:
            control.add_member("team", f"person.{role}", role)
        control.assign_system_role(numbers["auditor"], "auditor")
        control.set_operations_admin(numbers["operations-admin"], flag=True)
        yield Fuzzing(
            registry.url,
            {role: Account(f"person.{role}", PASSWORD) for role in _ROLES},
            {"project_name_or_id": "team", "project_name": "team", "user_id": numbers["x"], **_made(control)},
        )


def _made(control: ControlClient) -> dict[str, Any]:
    """Make one of each further thing that a path can name."""
    group = control.call("POST", "/usergroups", {"group_name": "team", "group_type": 2}, status=201)
    label = control.call("POST", "/labels", {"name": "stable", "scope": "g"}, status=201)
    control.call("POST", "/projects/team/repositories", {"name": "app"}, status=201)
    access = [{"resource": "repository", "action": "pull"}]
    permissions = [{"kind": "project", "namespace": "team", "access": access}]
    robot = control.call(
        "POST",
        "/robots",
        {"name": "ci", "level": "system", "duration": 1, "permissions": permissions},
        status=201,
    )
    return {
        "group_id": group.created_id,
        "label_id": label.created_id,
        "meta_name": "severity",
        "mid": control.add_member("team", "person.x", "guest"),
        "repository_name": "app",
        "robot_id": robot.created_id,
        "role_id": 2,
    }


def test_each_built_in_role_is_tried() -> None:
    assert set(_ROLES) == set(BUILT_IN_ROLES)


def test_s10_s19_nothing_breaks_and_nothing_is_told_that_is_not_described(
    fuzzing: Fuzzing, rotating_seed: int
) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{fuzzing.url}/api/v2.0/openapi.json")
    operations: list[Any] = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    operations.sort(key=lambda operation: _ORDER.index(operation.method.lower()))
    assert len(operations) >= _LEAST_OPERATIONS
    ends_at = time.monotonic() + _BUDGET_SECONDS

    for position, operation in enumerate(operations):
        left = ends_at - time.monotonic()
        _try(fuzzing, operation, rotating_seed, left / (len(operations) - position))

    assert {operation.label for operation in operations} == set(fuzzing.tried)
    assert {role: fuzzing.successes[role] > 0 for role in fuzzing.accounts} == dict.fromkeys(_ROLES, True)


class _OutOfTimeError(Exception):
    """Ends the requests of one operation: making more of them is what takes the time."""


def _try(fuzzing: Fuzzing, operation: Any, seed: int, share_seconds: float) -> None:
    """Send requests of one operation, valid and invalid ones, for its share of the time, at least one."""
    give_up_at = time.monotonic() + share_seconds
    cases = operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @hypothesis.given(case=cases, is_aimed=strategies.booleans())
    def send(case: Any, is_aimed: bool) -> None:
        # What has failed is sent once more for the report, whatever the time.
        if fuzzing.tried[operation.label] and time.monotonic() > give_up_at and not fuzzing.has_failed:
            raise _OutOfTimeError
        fuzzing.send(fuzzing.aimed(case) if is_aimed else case)

    with contextlib.suppress(_OutOfTimeError):
        send()

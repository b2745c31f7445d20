"""The state machine of people, roles, robots and credentials on both engines.

Faults that were planted one at a time (a credential, token or session that outlives what it was issued under, a right
that nobody gave, a guess that does not count, a last administrator who goes) are found by the short run at any seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.identity_machine import IdentityMachine
from tests.stateful.identity_world import ATTEMPTS, IdentityWorld
from tests.stateful.node import node_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drivers.postgres_server import PostgresServer

_SHORT: Final = {"sqlite": (6, 25), "postgresql": (3, 15)}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine in turn; where blobs lie decides nothing about rights."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def world(
    engine: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[IdentityWorld]:
    """Run a node with accounts on a database of its own."""
    flags: dict[str, str | bool] = {"lockout.attempts": str(ATTEMPTS)}
    if engine == "postgresql":
        # Asked for by name, so that a server starts only when a test needs it.
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        flags["metadata.url"] = postgres.create_database()
    with IdentityWorld(node_settings(tmp_path_factory.mktemp("identity"), **flags)) as made:
        yield made


@pytest.mark.timeout(600)
def test_after_any_sequence_those_may_who_may_and_nobody_else_i6_s9_s13_s14_s15(
    world: IdentityWorld, engine: str
) -> None:
    examples, steps = _SHORT[engine]
    _run(world, examples, steps)


@pytest.mark.long
def test_after_many_long_sequences_those_may_who_may_and_nobody_else_i6_s9_s13_s14_s15(
    world: IdentityWorld,
) -> None:
    _run(world, 1000, 100)


def _run(world: IdentityWorld, examples: int, steps: int) -> None:
    machine: type[IdentityMachine] = type("Machine", (IdentityMachine,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

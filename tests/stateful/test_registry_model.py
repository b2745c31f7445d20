"""The state machine on every combination of engine and store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.asgi.services import scratch_settings
from tests.stateful.machine import RegistryMachine
from tests.stateful.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drivers.postgres_server import PostgresServer
    from tests.running.setups import Setup

_SHORT: Final = {"sqlite+filesystem": (40, 40), "postgresql+filesystem": (15, 30)}
_SHORT_ON_S3: Final = (8, 30)


@pytest.fixture(scope="module")
def world(
    setup: Setup,
    registry_settings: dict[str, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """Run the product's composition on one setup, with a database and a part of the bucket of its own."""
    flags: dict[str, str | bool] = {}
    for section, values in registry_settings.items():
        flags.update({f"{section}.{key}": value for key, value in values.items()})
    if setup.uses_postgresql:
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        flags["metadata.url"] = postgres.create_database()
    if setup.uses_s3:
        flags["storage.s3.prefix"] = f"stateful-{setup.replace('+', '-')}/"
    with World(scratch_settings(tmp_path_factory.mktemp("stateful"), **flags)) as made:
        yield made


@pytest.mark.timeout(600)
def test_any_sequence_of_requests_leaves_what_the_model_holds_i2_i3_i4_i5_i7(
    world: World, setup: Setup
) -> None:
    examples, steps = _SHORT.get(str(setup), _SHORT_ON_S3)
    _run(world, examples, steps)


@pytest.mark.long
def test_many_long_sequences_of_requests_leave_what_the_model_holds_i2_i3_i4_i5_i7(world: World) -> None:
    _run(world, 5000, 100)


def _run(world: World, examples: int, steps: int) -> None:
    machine: type[RegistryMachine] = type("Machine", (RegistryMachine,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

"""Names, durations and chosen secrets of robots."""

from __future__ import annotations

import pytest

from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.robots.errors import InvalidRobotError
from entrepot.auth.robots.records import RobotLimits
from entrepot.auth.robots.rules import full_name, lifetime_milliseconds, require_description, require_duration
from entrepot.auth.robots.secrets import RobotSecrets
from tests.plumbing.identity_doubles import QuickHasher


@pytest.mark.parametrize(
    ("short", "project", "full"),
    [
        ("ci", "", "robot$ci"),
        ("ci", "team", "robot$team+ci"),
        ("a1.b-c_d", "team", "robot$team+a1.b-c_d"),
        ("a" * 249, "", "robot$" + "a" * 249),
    ],
)
def test_a_robot_is_called_as_in_harbor(short: str, project: str, full: str) -> None:
    assert full_name(short, project) == full


@pytest.mark.parametrize(
    "short", ["", "CI", "-ci", "ci-", "c..i", "c i", "ci\n", "team+ci", "robot$ci", "a" * 250, "é"]
)
def test_other_names_are_refused(short: str) -> None:
    with pytest.raises(InvalidRobotError) as caught:
        full_name(short)

    assert caught.value.field == "name"


@pytest.mark.parametrize(
    ("days", "most", "good"),
    [
        (-1, None, True),
        (-1, 90, False),
        (-2, None, False),
        (0, None, False),
        (1, 90, True),
        (90, 90, True),
        (91, 90, False),
        (36_500, None, True),
        (36_501, None, False),
    ],
)
def test_a_duration_is_days_within_the_limit_or_for_ever(days: int, most: int | None, *, good: bool) -> None:
    limits = RobotLimits(most_days=most)
    if good:
        require_duration(days, limits)
    else:
        with pytest.raises(InvalidRobotError):
            require_duration(days, limits)


def test_a_lifetime_is_counted_in_milliseconds() -> None:
    assert lifetime_milliseconds(2) == 172_800_000
    assert lifetime_milliseconds(-1) is None


def test_a_description_has_an_end() -> None:
    require_description("d" * 1024)
    with pytest.raises(InvalidRobotError):
        require_description("d" * 1025)


@pytest.mark.parametrize("secret", ["Abcdefg1", "A1b" * 42 + "Aa", "ÉcoleÜber1", "Pass word 1"])
async def test_a_strong_secret_can_be_chosen(secret: str) -> None:
    secrets = RobotSecrets(QuickHasher())

    returned, stored = await secrets.make(secret)

    assert (returned, stored[:10], await secrets.matches(stored, secret)) == (secret, "$argon2id$", True)
    assert await secrets.matches(stored, secret + "x") is False


@pytest.mark.parametrize(
    "secret",
    [
        "Abcdef1",
        "abcdefg1",
        "ABCDEFG1",
        "Abcdefgh",
        "A1b" * 43,
        "Abcdefg1\n",
        "ers_Abcdefg1",
        "ept_" + "Aa1" * 15,
        "epr_Abcdefg1",
    ],
)
async def test_a_weak_secret_or_one_that_looks_generated_can_not_be_chosen(secret: str) -> None:
    with pytest.raises(InvalidRobotError) as caught:
        await RobotSecrets(QuickHasher()).make(secret)

    assert caught.value.field == "secret"
    assert secret not in str(caught.value)


async def test_a_generated_secret_has_256_bits_and_is_kept_as_sha256() -> None:
    secrets = RobotSecrets(QuickHasher())

    secret, stored = await secrets.make("")
    other, _ = await secrets.make("")

    assert (secret[:4], len(secret), len(stored), secret != other) == ("ers_", 47, 64, True)
    assert await secrets.matches(stored, secret) is True
    assert await secrets.matches(stored, other) is False


async def test_what_a_check_costs_depends_on_what_is_presented_only_s19() -> None:
    """A slow hash for what may have been chosen, none for what was generated, whether or not the robot exists."""
    hasher = QuickHasher()
    secrets = RobotSecrets(hasher)
    _, generated = await secrets.make("")
    _, chosen = await secrets.make("Chosen-Secret1")
    spent: list[tuple[int, bool]] = []
    for presented in (new_secret("ers_"), "Guess-Secret1"):
        for stored in (None, generated, chosen):
            before = hasher.checks
            found = await secrets.matches(stored, presented)
            spent.append((hasher.checks - before, found))

    assert spent == [(0, False)] * 3 + [(1, False)] * 3


async def test_a_secret_too_long_to_be_chosen_is_not_hashed() -> None:
    hasher = QuickHasher()

    assert await RobotSecrets(hasher).matches(None, "A1a" * 1000) is False
    assert hasher.checks == 0

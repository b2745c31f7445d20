"""The forms that names and profiles may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.failures import seconds_of
from entrepot.auth.people.errors import InvalidPersonError, NameTakenError, PeopleError
from entrepot.auth.people.lockout import legible, place_of
from entrepot.auth.people.new_people import (
    Profile,
    require_group_name,
    require_new_name,
    require_profile,
)


@pytest.mark.parametrize("name", ["a", "alice", "A.b_c-d+e@x.org", "7", "x" * 128])
def test_a_name_of_letters_digits_and_few_signs_is_accepted(name: str) -> None:
    require_new_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a:b", "robot$x", "a/b", "x" * 129, "é", "a\n"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(InvalidPersonError):
        require_new_name(name)


@pytest.mark.parametrize("name", ["admin", "Admin", "ADMIN", "anonymous", "host", "registry", "System"])
def test_nobody_can_pass_for_the_registry_or_its_first_administrator(name: str) -> None:
    with pytest.raises(NameTakenError):
        require_new_name(name)


@pytest.mark.parametrize(
    "profile",
    [
        Profile("no address"),
        Profile("a@b@c"),
        Profile("a@" + "x" * 254),
        Profile(realname="a\0b"),
        Profile(comment="x" * 256),
    ],
)
def test_what_can_not_be_known_of_a_person_is_refused(profile: Profile) -> None:
    with pytest.raises(InvalidPersonError):
        require_profile(profile)


@pytest.mark.parametrize("name", ["", " team", "team ", "a\0b", "x" * 256])
def test_a_group_has_a_name_that_can_be_shown(name: str) -> None:
    with pytest.raises(InvalidPersonError):
        require_group_name(name)


@given(st.text(max_size=300))
def test_any_text_is_accepted_or_refused_as_a_name(text: str) -> None:
    try:
        require_new_name(text)
    except PeopleError:
        return
    assert text.isascii()
    assert not set(text) & set(" :$/\\%\"'<>&?#\n\0")


@given(st.text(alphabet=st.characters(), max_size=600))
def test_what_somebody_typed_can_be_stored_and_shown(text: str) -> None:
    shown = legible(text)

    assert len(shown) <= 255
    assert shown.isprintable()
    assert len(shown.encode()) >= len(shown)


def test_direct_and_forwarded_attempts_are_counted_apart() -> None:
    assert place_of("a", "::1", forwarded=False) != place_of("a", "::1", forwarded=True)


@pytest.mark.parametrize(("milliseconds", "seconds"), [(0, 0), (1, 1), (1000, 1), (1001, 2)])
def test_whoever_waits_as_long_as_told_is_not_too_early(milliseconds: int, seconds: int) -> None:
    assert seconds_of(milliseconds) == seconds

"""What paths name: numbers or names, repositories encoded twice, addresses of new things, times."""

from __future__ import annotations

import pytest

from entrepot.control_api.names import format_time, location, project_reference, repository_of
from entrepot.oci.names import InvalidRepositoryNameError


@pytest.mark.parametrize(
    ("text", "header", "reference"),
    [
        ("7", "", 7),
        ("7", "false", 7),
        ("7", "true", "7"),
        ("7", "True", "7"),
        ("apps", "", "apps"),
        ("apps", "false", "apps"),
        ("7a", "", "7a"),
        ("\u0667", "", "\u0667"),
        ("9" * 30, "", "9" * 30),
    ],
)
def test_digits_are_a_number_unless_the_client_says_otherwise(
    text: str, header: str, reference: str | int
) -> None:
    assert project_reference(text, header) == reference


@pytest.mark.parametrize(
    ("text", "name"), [("a", "apps/a"), ("a%2Fb", "apps/a/b"), ("a%2fb%2Fc", "apps/a/b/c")]
)
def test_a_repository_is_decoded_a_second_time(text: str, name: str) -> None:
    assert repository_of("apps", text).text == name


@pytest.mark.parametrize(("text", "name"), [("app", "library/app"), ("_%2Fapp", "app")])
def test_below_library_there_is_an_address_for_each_of_two_namesakes(text: str, name: str) -> None:
    assert repository_of("library", text).text == name


@pytest.mark.parametrize("text", ["", "..%2Fsecret", "A", "a%00", "a+b", "a%252Fb", "%2F", "a%2F%2Fb"])
def test_what_no_repository_is_called_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepositoryNameError):
        repository_of("apps", text)


def test_a_location_has_the_number_unless_the_name_is_wanted() -> None:
    assert location("/api/v2.0/projects", 7, "apps") == "/api/v2.0/projects/7"
    assert location("/api/v2.0/projects/", 7, "apps", "true") == "/api/v2.0/projects/apps"
    assert location("/api/v2.0/projects", 7, "a/../b", "true") == "/api/v2.0/projects/a%2F..%2Fb"
    assert location("/api/v2.0/users", 7, "", "true") == "/api/v2.0/users/7"


def test_times_are_rfc_3339_in_utc() -> None:
    assert format_time(1_586_399_760_250) == "2020-04-09T02:36:00.250Z"

"""What a refusal of the token service looks like: each that a login may meet has a row of its own."""

from __future__ import annotations

import json
from typing import Final

import pytest

from entrepot.auth import errors as auth_errors
from entrepot.auth.errors import (
    ActionDisabledError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    InvalidTokenError,
    ProjectMissingError,
    ProjectUnknownError,
)
from entrepot.auth.people import errors as people_errors
from entrepot.auth.people.errors import PasswordsBusyError, PeopleError
from entrepot.kernel.errors import EntrepotError
from entrepot.oci.error_codes import ErrorCode
from entrepot.token_service.replies import ERROR_TABLE, error_reply

_OF_OTHERS: Final = (
    *(ActionDisabledError, AuthenticationRequiredError, InsufficientScopeError, InvalidTokenError),
    *(ProjectMissingError, ProjectUnknownError, PeopleError),
)
"""What is raised behind a login only, by whoever lets somebody do something."""


def _of_a_login() -> list[type[EntrepotError]]:
    known = [*vars(auth_errors).values(), *vars(people_errors).values()]
    return [
        one
        for one in known
        if isinstance(one, type) and issubclass(one, EntrepotError) and one is not EntrepotError
        if not issubclass(one, _OF_OTHERS)
    ]


@pytest.mark.parametrize("kind", _of_a_login())
def test_every_refusal_of_a_login_has_a_row_that_is_no_crash(kind: type[EntrepotError]) -> None:
    status, code, _ = ERROR_TABLE[kind]

    assert status != 500
    assert code is not ErrorCode.UNKNOWN


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_too_many_passwords_at_once_is_503_and_says_when_to_come_back(method: str) -> None:
    reply = error_reply(method, PasswordsBusyError())

    body = json.loads(reply.body)
    text = "too many passwords are being checked at the moment; try again in a second"
    assert (reply.status, dict(reply.headers)[b"retry-after"]) == (503, b"1")
    if method == "GET":
        assert body == {"errors": [{"code": "TOOMANYREQUESTS", "message": text, "detail": None}]}
    else:
        assert body == {"error": "temporarily_unavailable", "error_description": text}

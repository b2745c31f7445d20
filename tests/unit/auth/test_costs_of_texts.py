"""What anybody may send as a text costs no more than its length: nothing that reads it is quadratic."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.basic_credentials import parse_basic
from entrepot.auth.generated_secrets import is_unguessable
from entrepot.auth.machine_logins import Attempt, is_storable_name
from entrepot.auth.people.lockout import legible
from entrepot.auth.people.new_people import Profile, require_group_name, require_new_name, require_profile
from entrepot.auth.principals import NO_ORIGIN
from entrepot.auth.robots.rules import require_description
from entrepot.auth.scopes import parse_scopes
from entrepot.control_api.json_bodies import unreadable
from entrepot.control_api.names import project_reference
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.secret_forms import without_secrets
from entrepot.oci.names import RepositoryName
from entrepot.projects.names import require_project_name

if TYPE_CHECKING:
    from collections.abc import Callable

_CHARACTERS: Final = 40_000
_SECONDS: Final = 0.5
"""What is linear takes some thousandths; what is quadratic takes seconds."""
_HOSTILE: Final = {
    "marks": "\u0315\u0300",
    "letters": "a",
    "separators": "a-",
    "underlines": "a__",
    "slashes": "a/",
    "at signs": "a@",
    "blanks": " ",
    "digits": "9",
    "escapes": "\\ud800",
    "almost secrets": "ept_a",
    "controls": "\x01",
    "sharp s": "\xdf",
}
_READERS: Final[dict[str, Callable[[str], object]]] = {
    "a login name": require_new_name,
    "the name of a group": require_group_name,
    "an address": lambda text: require_profile(Profile(email=f"a@{text}")),
    "a real name": lambda text: require_profile(Profile(realname=text)),
    "what is kept of a name": legible,
    "what is kept of an attempt": lambda text: Attempt(text, text, "", NO_ORIGIN, forwarded=False).account,
    "a name that is looked up": is_storable_name,
    "a secret": is_unguessable,
    "what is searched for secrets": without_secrets,
    "basic credentials": parse_basic,
    "scopes": lambda text: parse_scopes([f"repository:{text}:pull"]),
    "a description": require_description,
    "a project": lambda text: project_reference(text, ""),
    "the name of a project": require_project_name,
    "a repository": RepositoryName.parse,
    "a broken body": lambda text: unreadable(text.encode(), ""),
}


@pytest.mark.parametrize("reader", _READERS)
@pytest.mark.parametrize("hostile", _HOSTILE)
def test_reading_a_text_costs_no_more_than_its_length(reader: str, hostile: str) -> None:
    part = _HOSTILE[hostile]
    text = "a" + part * (_CHARACTERS // len(part)) + "!"

    began = time.process_time()
    with contextlib.suppress(EntrepotError, ValueError):
        _READERS[reader](text)

    assert time.process_time() - began < _SECONDS

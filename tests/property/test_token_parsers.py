"""Whatever anybody sends as a scope, a token or an Authorization header gives an answer, never a crash (T4, S16)."""

from __future__ import annotations

import base64
import contextlib
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.auth.basic_credentials import parse_basic
from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.errors import InvalidTokenError
from entrepot.auth.scopes import ScopeLimitError, parse_scopes, repository_scope
from tests.asgi.identity import ALICE, ISSUER, SERVICE, Clock, ring_of

_TOKENS: Final = BearerTokens(ring_of(Clock()), ISSUER, SERVICE, 300)
_GOOD: Final = _TOKENS.issue(ALICE, {"team/app": frozenset({"pull"})}, {"team": 1}).token
_ACTIONS: Final = st.frozensets(st.sampled_from(["pull", "push", "delete", "*"]))
_SEGMENT: Final = st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", fullmatch=True).filter(
    lambda one: len(one) < 40
)
_NAMES: Final = st.lists(_SEGMENT, min_size=1, max_size=4).map("/".join)
_NEARLY: Final = st.text(alphabet="repositoygcal:/,*()ush d", max_size=60)


@given(st.lists(st.one_of(st.text(max_size=80), _NEARLY), max_size=8))
def test_no_text_breaks_the_reader_of_scopes_t4(values: list[str]) -> None:
    request = parse_scopes(values)

    for name in request.repositories:
        assert f":{name}:" in " ".join(values)


@given(st.dictionaries(_NAMES, _ACTIONS, max_size=5))
def test_scopes_are_read_as_they_are_written_t4(wanted: dict[str, frozenset[str]]) -> None:
    request = parse_scopes([" ".join(repository_scope(name, actions) for name, actions in wanted.items())])

    assert {name.text: actions for name, actions in request.repositories.items()} == wanted


@given(st.integers(0, 20_000), st.integers(0, 200))
def test_any_number_of_scopes_is_read_or_refused(length: int, count: int) -> None:
    with contextlib.suppress(ScopeLimitError):
        assert len(parse_scopes(["repository:a/b:pull"] * count + ["x" * length]).repositories) <= 1


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader_of_basic_credentials(text: str) -> None:
    parse_basic(text)


@given(
    st.text(
        alphabet=st.characters(min_codepoint=32, exclude_characters=":\x7f", codec="utf-8"),
        min_size=1,
        max_size=40,
    ),
    st.text(alphabet=st.characters(min_codepoint=128, codec="utf-8"), max_size=40),
)
def test_credentials_are_read_as_they_are_written(name: str, secret: str) -> None:
    credentials = parse_basic(base64.b64encode(f"{name}:{secret}".encode()).decode())

    assert credentials is not None
    assert (credentials.name, credentials.secret) == (name, secret)


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_no_text_is_a_token_s16(text: str) -> None:
    with contextlib.suppress(InvalidTokenError):
        _TOKENS.verify(text)
        raise AssertionError(text)


@given(st.integers(0, len(_GOOD) - 1), st.characters(codec="utf-8"))
@settings(max_examples=300)
def test_a_token_with_another_character_speaks_for_nobody_else_s16(place: int, character: str) -> None:
    """The last character of a part has bits that mean nothing; such a token says the same as the good one."""
    changed = _GOOD[:place] + character + _GOOD[place + 1 :]
    try:
        verified = _TOKENS.verify(changed)
    except InvalidTokenError:
        return
    assert verified.principal == _TOKENS.verify(_GOOD).principal

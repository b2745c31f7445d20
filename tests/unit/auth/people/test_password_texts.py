"""What is too long to be a password costs nobody anything; what ever was one still is, however it is typed."""

from __future__ import annotations

import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy, load_words
from entrepot.auth.people.password_texts import MAX_LENGTH, MAX_PRESENTED_LENGTH, composed
from entrepot.auth.people.passwords import HashCost, PasswordHashing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BOMB: Final = "a" + "\u0315\u0300" * 40_000
"""Each mark is compared with all before it: composing takes seconds, quadratically in the length."""
_SECONDS: Final = 1.0
"""Composing the whole takes many times as long."""
_FOUR_PARTS: Final = "\u1f82"
"""A small alpha with breathing, accent and iota: four characters when it is taken apart."""


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    made = PasswordHashing(HashCost(memory_kibibytes=8, passes=1, lanes=1))
    yield made
    made.close()


def test_no_character_comes_apart_into_more_than_the_bound_allows_for() -> None:
    """So nothing that is longer than the bound is shorter than the longest password when it is composed."""
    most = max(len(unicodedata.normalize("NFD", chr(code))) for code in range(sys.maxunicode + 1))

    assert most * MAX_LENGTH == MAX_PRESENTED_LENGTH


async def test_the_longest_password_opens_what_it_opened_however_it_is_typed(
    hashing: PasswordHashing,
) -> None:
    password = _FOUR_PARTS * MAX_LENGTH
    apart = unicodedata.normalize("NFD", password)

    stored = await hashing.hash(password)

    assert len(apart) == MAX_PRESENTED_LENGTH
    assert composed(apart) == password
    assert await hashing.verify(stored, apart) is True
    assert await hashing.verify(await hashing.hash(apart), password) is True


async def test_a_password_that_is_too_long_is_wrong_at_the_cost_of_any_other_s19(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread hashes, though not what was presented; also where the stored one is that of no text at all."""
    stored, hashed = await hashing.hash(""), list[str]()
    matches_one = hashing._matches

    def noted(wanted: str, text: str) -> bool:
        hashed.append(wanted)
        return matches_one(wanted, text)

    monkeypatch.setattr(hashing, "_matches", noted)

    began = time.process_time()
    matches = [await hashing.verify(stored, _BOMB), await hashing.verify(None, _BOMB)]

    assert time.process_time() - began < _SECONDS
    assert matches == [False, False]
    assert hashed == [hashing._nobody, hashing._nobody]
    assert await hashing.verify(stored, "a" * (MAX_PRESENTED_LENGTH + 1)) is False


async def test_no_password_that_is_too_long_is_ever_hashed(hashing: PasswordHashing) -> None:
    with pytest.raises(ValueError, match="too long"):
        await hashing.hash(_BOMB)


@pytest.mark.parametrize("password", [_BOMB, "Kw#7" * 200_000, "a" * (MAX_PRESENTED_LENGTH + 1)])
def test_what_is_much_too_long_is_refused_for_that_alone_and_not_read(password: str) -> None:
    began = time.process_time()
    reasons = PasswordPolicy(PasswordLimits()).reasons_against(password, ("kw",))

    assert time.process_time() - began < _SECONDS
    assert reasons == ("it has more than 128 characters",)


def test_a_dictionary_with_an_endless_line_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text(f"Cafe\u0301s\n{_BOMB}\n", "utf-8")

    began = time.process_time()
    words = load_words(path)

    assert time.process_time() - began < _SECONDS
    assert words == {"caf\xe9s"}

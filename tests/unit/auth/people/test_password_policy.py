"""The policy at each of its boundaries (MLPS 8.1.4.1a): one table for every path a password can come by."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.people.password_policy import MAX_LENGTH, PasswordLimits, PasswordPolicy, load_words
from entrepot.auth.people.worst_passwords import WORST_WORDS

if TYPE_CHECKING:
    from pathlib import Path

_POLICY = PasswordPolicy(PasswordLimits())
_SHORT = "it has fewer than 8 characters"
_LONG = "it has more than 128 characters"
_CLASSES = "it has fewer than 3 of these four: lower-case letters, upper-case letters, digits, others"
_MADE_HERE = "it begins with ept_, epr_ or ers_, as only secrets that the registry makes do"
_ROW = "it has a row of the keyboard, the alphabet or the digits"
_REPEATS = "it repeats itself"
_WORD = "it has a word that is among the first to be guessed"
_NAME = "it has a name of its owner"


def _of_length(length: int) -> str:
    """Return a password of a length with which nothing else is wrong."""
    text = "".join(f"Kw{number:02}#" for number in (17, 29, 38, 46, 51, 63, 74, 85, 92, 60) * 3)
    return text[:length]


@pytest.mark.parametrize(
    ("password", "reasons"),
    [
        ("Kw7#Zr9!", ()),
        ("Kw7#Zr9", (_SHORT,)),
        (_of_length(128), ()),
        (_of_length(129), (_LONG,)),
        ("kwvtzrpm", (_CLASSES,)),
        ("Kwvtzrpm", (_CLASSES,)),
        ("Kwvtzrp7", ()),
        ("ept_Kw7#Zr9", (_MADE_HERE,)),
        ("epr_Kw7#Zr9", (_MADE_HERE,)),
        ("ers_Kw7#Zr9", (_MADE_HERE,)),
        ("ess_Kw7#Zr9", ()),
        ("Kw7#Zr9ept_", ()),
        ("kwvtzr7#", ()),
        ("KWVTZR7#", ()),
        ("7392#!~8", (_CLASSES,)),
        ("王密碼Kw7zrPt", ()),
        ("Kw7#Zr9\n", ("it has characters that can't be seen",)),
        ("Kw7#Zr9\0", ("it has characters that can't be seen",)),
        ("Kw#qwer9T", (_ROW, _WORD)),
        ("Kw#REWQ9t", (_ROW,)),
        ("Kw#123Tz", ()),
        ("Kw#1234Tz", (_ROW,)),
        ("Kw#4321Tz", (_ROW,)),
        ("Kw#abcTz9", ()),
        ("Kw#abcdTz9", (_ROW,)),
        ("Kaaa#Zr9", ()),
        ("Kaaaa#Zr9", (_REPEATS,)),
        ("Kw7#Kw7#", (_REPEATS,)),
        ("Password7#", (_WORD,)),
        ("P@ssw0rd#7", (_WORD,)),
        ("xx-3ntr3p0t-X", (_WORD,)),
        ("Harbor12345", (_ROW, _WORD)),
        ("Kw-ALICE-79", (_NAME,)),
        ("Kw-4l1c3-7Z", (_NAME,)),
        ("Kw-al1c3-7Z", (_NAME,)),
        ("Kw-example-7Z", (_WORD,)),
        ("Kw-7org-Zr9", ()),
        ("Kw-Liddell7", (_NAME,)),
        ("", (_SHORT, _CLASSES, _REPEATS)),
    ],
)
def test_a_password_is_judged_at_the_boundary(password: str, reasons: tuple[str, ...]) -> None:
    names = ("alice", "a.l@example.org", "Al Liddell")

    assert _POLICY.reasons_against(password, names) == reasons


@pytest.mark.parametrize(("classes", "accepted"), [(1, True), (2, True), (3, False), (4, False)])
def test_the_number_of_kinds_is_the_setting(classes: int, accepted: bool) -> None:
    policy = PasswordPolicy(PasswordLimits(classes=classes))

    assert (policy.reasons_against("Kwvtzrpm") == ()) is accepted


@pytest.mark.parametrize(("days", "too_old"), [(0, False), (1, True), (2, False)])
def test_a_password_ages_by_the_setting(days: int, too_old: bool) -> None:
    policy = PasswordPolicy(PasswordLimits(max_age_days=days))

    assert policy.is_too_old(86_400_000) is too_old
    assert policy.is_too_old(None) is False


def test_a_composed_character_counts_once_however_it_was_typed() -> None:
    composed, decomposed = "Kw7#Zr\N{LATIN SMALL LETTER E WITH ACUTE}", "Kw7#Zre\N{COMBINING ACUTE ACCENT}"

    assert _POLICY.reasons_against(composed) == _POLICY.reasons_against(decomposed) == (_SHORT,)


def test_the_words_of_a_file_are_found_disguised_and_short_ones_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text("Zyklon\nab\n\n  trumpet  \n")
    policy = PasswordPolicy(PasswordLimits(), load_words(path))

    assert policy.reasons_against("7#Zykl0nRw") == (_WORD,)
    assert policy.reasons_against("7#Trump3tRw") == (_WORD,)
    assert policy.reasons_against("7#abKzRw9") == ()


@given(
    limits=st.builds(
        PasswordLimits,
        min_length=st.integers(8, MAX_LENGTH),
        classes=st.integers(1, 4),
    )
)
def test_a_generated_password_satisfies_every_policy(limits: PasswordLimits) -> None:
    policy = PasswordPolicy(limits)

    password = policy.generate(())

    assert policy.reasons_against(password) == ()
    assert len(password) >= 24
    assert password.isascii()


@pytest.mark.parametrize(
    "holding", ["Kw7zRtp-aLice-9TmXbVcN4G", "Kw7zRtp-Xam-9TmXbVcN4GdP", "Kw7zRtp-LidDeLl-9TmXbVcN"]
)
def test_a_generated_password_with_a_name_of_its_owner_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch, holding: str
) -> None:
    characters = iter(holding + "Kw7zRtpG9TmXbVcN4GdPqHuM")

    def choose(_alphabet: str) -> str:
        return next(characters)

    monkeypatch.setattr("secrets.choice", choose)

    assert _POLICY.generate(("alice", "xam@example.org", "Al Liddell")) == "Kw7zRtpG9TmXbVcN4GdPqHuM"


@given(st.text(max_size=300))
def test_any_text_is_judged(text: str) -> None:
    reasons = _POLICY.reasons_against(text, (text,))

    assert (_LONG in reasons) == (len(text) > MAX_LENGTH) or not text.isascii()
    if not reasons:
        assert 8 <= len(text) <= 128 or not text.isascii()


def test_every_word_of_the_own_list_is_refused() -> None:
    for word in WORST_WORDS:
        assert len(word) >= 4
        assert _WORD in _POLICY.reasons_against(f"Z#{word}7K")


def test_words_are_read_from_files_and_not_awaited_from_a_pipe(tmp_path: Path) -> None:
    """Nobody may ever write into it, and whoever serves must not wait for that (I1)."""
    os.mkfifo(tmp_path / "words")

    with pytest.raises(OSError, match="is no file"):
        load_words(tmp_path / "words")

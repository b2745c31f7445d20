"""What people may choose as their password, and passwords that the registry itself chooses.

Guessing programs know words, names, rows of the keyboard and the disguises people use; so a password may contain none
of them, whatever it has beside. Every reason is told at once: nobody has to guess what is wrong next.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.auth.generated_secrets import is_reserved
from entrepot.auth.people.password_texts import MAX_LENGTH, composed
from entrepot.auth.people.worst_passwords import WORST_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["MAX_LENGTH", "PasswordLimits", "PasswordPolicy", "load_words"]

_TOO_LONG: Final = f"it has more than {MAX_LENGTH} characters"
_DAY_MILLISECONDS: Final = 86_400_000
_RUN_LENGTH: Final = 4
_LEAST_WORD: Final = 4
_LEAST_NAME: Final = 3
_LEAST_DISTINCT: Final = 5
_GENERATED_LENGTH: Final = 24
_ALPHABET: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_"
"""Without what people mix up when they copy it from a screen."""
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "!@#$%^&*()",
)
_RUNS: Final = frozenset(
    way[start : start + _RUN_LENGTH]
    for row in _ROWS
    for way in (row, row[::-1])
    for start in range(len(row) - _RUN_LENGTH + 1)
)
_DISGUISES: Final = str.maketrans("013457@$!", "oieastasi")
_REPEATED: Final = re.compile(r"(.)\1{3}", re.DOTALL)
_REPEATED_WHOLE: Final = re.compile(r"(.+?)\1+\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PasswordLimits:
    """The numbers of the policy.

    Attributes:
        max_age_days: 0 where passwords don't age.
        change_first: whether people must change the password that they were made with.
    """

    min_length: int = 8
    classes: int = 3
    history: int = 5
    max_age_days: int = 0
    change_first: bool = False


class PasswordPolicy:
    """Judges passwords; pure and without state. Former passwords are the service's to compare."""

    def __init__(self, limits: PasswordLimits, words: frozenset[str] = frozenset()) -> None:
        self.limits = limits
        self._words = words | {_undisguised(word) for word in WORST_WORDS} | WORST_WORDS
        self._longest_word = max(map(len, self._words))

    def reasons_against(self, password: str, names: Iterable[str] = ()) -> tuple[str, ...]:
        """Return why a password is not accepted, nothing when it is. Of what is much too long nothing else is told.

        Args:
            names: what the person is called: login name, e-mail address, real name.
        """
        text = composed(password)
        if text is None:
            return (_TOO_LONG,)
        return (*self._faults_of_form(text), *self._faults_of_content(text, names))

    def is_too_old(self, age_milliseconds: int | None) -> bool:
        """Whether a password that was set so long ago must be changed."""
        if age_milliseconds is None or self.limits.max_age_days == 0:
            return False
        return age_milliseconds >= self.limits.max_age_days * _DAY_MILLISECONDS

    def generate(self, names: Iterable[str]) -> str:
        """Return a random password of at least 140 bits that the policy accepts for a person with these names."""
        length = max(_GENERATED_LENGTH, self.limits.min_length)
        called = tuple(names)
        while True:
            password = "".join(secrets.choice(_ALPHABET) for _ in range(length))
            if not self.reasons_against(password, called):
                return password

    def _faults_of_form(self, password: str) -> Iterator[str]:
        if len(password) < self.limits.min_length:
            yield f"it has fewer than {self.limits.min_length} characters"
        if len(password) > MAX_LENGTH:
            yield _TOO_LONG
        if not all(character.isprintable() for character in password):
            yield "it has characters that can't be seen"
        if is_reserved(password):
            yield "it begins with ept_, epr_ or ers_, as only secrets that the registry makes do"
        if len({_class_of(character) for character in password}) < self.limits.classes:
            yield (
                f"it has fewer than {self.limits.classes} of these four: lower-case letters, upper-case letters, "
                "digits, others"
            )

    def _faults_of_content(self, password: str, names: Iterable[str]) -> Iterator[str]:
        password = password[:MAX_LENGTH].casefold()
        if any(password[at : at + _RUN_LENGTH] in _RUNS for at in range(len(password))):
            yield "it has a row of the keyboard, the alphabet or the digits"
        if (
            _REPEATED.search(password)
            or _REPEATED_WHOLE.match(password)
            or len(set(password)) < _LEAST_DISTINCT
        ):
            yield "it repeats itself"
        forms = {password, _undisguised(password)}
        if any(self._has_word(form) for form in forms):
            yield "it has a word that is among the first to be guessed"
        parts = {part for name in names for part in _parts_of(name)}
        if any(part in form for part in parts for form in forms):
            yield "it has a name of its owner"

    def _has_word(self, password: str) -> bool:
        starts = range(len(password) - _LEAST_WORD + 1)
        return any(
            password[start:end] in self._words
            for start in starts
            for end in range(start + _LEAST_WORD, min(start + self._longest_word, len(password)) + 1)
        )


def load_words(path: Path) -> frozenset[str]:
    """Return the words of a dictionary file, one per line; those of fewer than four letters are left out. Blocks.

    Raises:
        OSError, UnicodeDecodeError: it can't be read, is no file, or is not UTF-8.
    """
    lines = _read_file(path).decode().splitlines()
    words = {text.casefold() for line in lines if (text := composed(line.strip())) is not None}
    return frozenset(word for word in words if _LEAST_WORD <= len(word) <= MAX_LENGTH)


def _read_file(path: Path) -> bytes:
    """Read a file, and nothing else: a pipe would keep whoever reads it for ever."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no file", str(path))
        return file.read()


def _class_of(character: str) -> str:
    """Return which of the four kinds a character is; letters without case, as those of Chinese, are others."""
    if character.islower():
        return "lower"
    if character.isupper():
        return "upper"
    return "digit" if character.isdecimal() else "other"


def _undisguised(password: str) -> str:
    return password.translate(_DISGUISES)


def _parts_of(name: str) -> set[str]:
    """Return what of a name must not occur: the whole, and the words it is made of, but not a domain's."""
    whole = name.casefold()
    parts = {whole, *re.split(r"[^\w]+|_", whole.partition("@")[0])}
    return {part for part in parts if len(part) >= _LEAST_NAME}

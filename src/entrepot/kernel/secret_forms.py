"""The form of the secrets that are made here, and finding them where people type and paste them (S27).

A secret is a prefix that tells what it is for, and 43 characters of base64url: 20 random ones, 6 that are the CRC-32 of
all before them, and 17 random ones; 222 random bits. So what looks like a secret is one, whatever stands before or
behind it, and no name is taken for one (`customers_...` has no such sum; one in 4,000,000,000 has). Cut off behind the
sum it is found all the same, and cut off before it more than 100 bits are missing: texts may be cut before they are
looked through.

One that was mistyped, or written in small or capital letters only (as names of repositories have to be), has no sum
that fits, and the sum helps whoever sees it to mend it. So what begins a word as a secret does, is as long as one, and
goes back and forth between letters and digits as no name does, is taken for one, too.

Signed tokens (JWT) are found by their three parts. What is left of a secret are its prefix and the beginning of a hash,
`ept_…1f3a9c2e77b05d64`: two of them are told apart, and none is told.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import string
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_CHARACTERS", "bytes_without_secrets", "new_secret_of", "without_secrets"]

MOST_CHARACTERS: Final = 1024
"""Of a text that comes with requests: it is cut, then looked through, which takes a millisecond at most."""
_ALPHABET: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
"""That of base64url (RFC 4648 section 5), in order."""
_RANDOM_BYTES: Final = 28
_HEAD_CHARACTERS: Final = 20
_SUM_CHARACTERS: Final = 6
_TAIL_CHARACTERS: Final = 17
_MADE: Final = re.compile(r"e?(pt|pr|rs|ss)_(?=[A-Za-z0-9_-]{26}([A-Za-z0-9_-]{0,17}))")
"""A prefix and, not consumed, what must follow: access token, refresh token, secret of a robot, session. The first
letter may be lost: half an escape before it (`100%2ept_...`) takes it along when a path is decoded, here or before."""
_AT_WORD: Final = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=%25[0-9A-Fa-f]{2})|(?<=\\[bfnrt]))"
"""The beginning of a word, also behind an escape that ends like a word: `%2F`, the same escaped again, `\\n`."""
_LIKELY: Final = re.compile(
    _AT_WORD + r"(?:e(?:pt|pr|rs|ss)|E(?:PT|PR|RS|SS))_"
    r"(?=[A-Za-z_-]{0,39}[0-9])(?=([A-Za-z0-9_-]{40,44})(?![A-Za-z0-9_-]))"
)
"""A prefix at the beginning of a word and, not consumed, as many characters as a secret has, give or take a few."""
_CHANGE: Final = re.compile(r"[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z])")
_FEWEST_CHANGES: Final = 4
"""Between letters and digits. Of 100 secrets 99 have more, on average 11; `v2` in a name is one."""
_BEGINNING: Final = re.compile(r"(?<![A-Za-z0-9])e(?:pt|pr|rs|ss)_", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f_-]+")
_MOST_SEPARATORS: Final = 5
"""In 40 characters of a secret; of 300 secrets one has more. A name of as many digits has them between its words."""
_SIGNED: Final = re.compile(r"\.eyJ[A-Za-z0-9_-]*+(?=\.([A-Za-z0-9_-]{16,}+))")
"""The second part of a signed token and, not consumed, the third. The first is looked for backwards, as far as the part
before, so that no text takes long; what looks like a second part may be a first one."""
_SIGNED_BEGINNING: Final = "yJ"
"""Less its first letter, an `e`, for the same reason."""
_MARKS: Final = ("pt_", "pr_", "rs_", "ss_", ".eyJ", "EPT_", "EPR_", "ERS_", "ESS_")
_ESCAPED: Final = re.compile(
    r"(?:%(?:25)*|(?<!\\)\\+u00)(2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa])"
)
"""An escape of a letter, a digit, `-`, `.` or `_`, which needs none (RFC 3986 section 2.3), escaped again or not."""
_ESCAPED_AGAIN: Final = 3
"""How often escapes may be made of escapes otherwise, as `%35F`; what is hidden deeper nobody pasted."""
_SHOWN_DIGITS: Final = 16
"""64 bits: less than a hundredth of a secret's, and nobody makes two names that look the same by accident."""


def new_secret_of(prefix: str) -> str:
    """Return a new secret, in the form described above."""
    drawn = base64.urlsafe_b64encode(secrets.token_bytes(_RANDOM_BYTES)).decode()
    head, tail = drawn[:_HEAD_CHARACTERS], drawn[_HEAD_CHARACTERS : _HEAD_CHARACTERS + _TAIL_CHARACTERS]
    return f"{prefix}{head}{_sum_of((prefix + head).encode())}{tail}"


def without_secrets(text: str) -> str:
    """Return text without the secrets in it, also those that escapes hide; the same object when it holds none.

    Where it holds some, needless escapes are gone from the rest of it as well. Linear, but a hostile MiB takes more
    than a second: cut to `MOST_CHARACTERS` before what comes with each request.
    """
    if "%" not in text and "\\" not in text:
        return _masked(text) if "_" in text or ".eyJ" in text else text  # as most
    told = _masked(text)
    plain = _unescaped(told)
    masked = _masked(plain)
    return told if masked is plain else masked


def bytes_without_secrets(text: bytes) -> bytes:
    """Return UTF-8 without the secrets in it; JSON stays JSON. The same object when it holds none."""
    if b"_" not in text and b".eyJ" not in text and b"%" not in text and b"\\" not in text:
        return text
    told = text.decode("latin-1")
    masked = without_secrets(told)
    return text if masked is told else masked.replace("…", "…".encode().decode("latin-1")).encode("latin-1")


def _unescaped(text: str) -> str:
    for _ in range(_ESCAPED_AGAIN):
        plain = _ESCAPED.sub(_character_of, text)
        if plain == text:
            break
        text = plain
    return text


def _character_of(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _masked(text: str) -> str:
    for mark in _MARKS:
        if mark in text:
            return _shown(text)
    return text


def _shown(text: str) -> str:
    pieces, shown_up_to = list[str](), 0
    for start, end, beginning in _spans(text):
        pieces += (text[shown_up_to:start], beginning, "…", _told_apart(text[start:end]))
        shown_up_to = end
    return "".join((*pieces, text[shown_up_to:])) if pieces else text


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where secrets stand, in order and apart from each other, and how each begins."""
    likely = {span[0]: span for span in _likely_spans(text)}
    sure = {span[0]: span for span in (*_made_spans(text), *_signed_spans(text))}
    found = sorted((likely | sure).values())
    starts = [start for start, _, _ in found[1:]]
    covered = 0
    for (start, end, beginning), following in zip(found, (*starts, len(text)), strict=False):
        covered = max(covered, end)
        yield start, min(covered, following), beginning


def _made_spans(text: str) -> Iterator[tuple[int, int, str]]:
    places = text.encode("latin-1", "replace")  # one byte for each character
    for mark in _MADE.finditer(text):
        sum_at = mark.end() + _HEAD_CHARACTERS
        summed = b"e" + places[mark.start(1) : sum_at]
        # The first character of the sum spares making the others of most.
        if text[sum_at] == _ALPHABET[zlib.crc32(summed) >> 26] and text.startswith(_sum_of(summed), sum_at):
            yield mark.start(), mark.end(2), mark[0]


def _is_name(text: str) -> bool:
    """Whether what stands behind a prefix is a digest, a UUID, many words, or holds another prefix."""
    separators = text.count("-") + text.count("_")
    return (
        separators > _MOST_SEPARATORS
        or _HEXADECIMAL.fullmatch(text) is not None
        or _BEGINNING.search(text) is not None
    )


def _likely_spans(text: str) -> Iterator[tuple[int, int, str]]:
    for mark in _LIKELY.finditer(text):
        if len(_CHANGE.findall(mark[1])) >= _FEWEST_CHANGES and not _is_name(mark[1]):
            yield mark.start(), mark.end(1), mark[0]


def _signed_spans(text: str) -> Iterator[tuple[int, int, str]]:
    dot = 0
    for behind in _SIGNED.finditer(text):
        before = text[dot : behind.start()]
        head_at = before.find(_SIGNED_BEGINNING, len(before.rstrip(_ALPHABET)))
        if head_at >= 0:
            start = dot + head_at - (before[head_at - 1 : head_at] == "e")
            yield start, behind.end(1), text[start : dot + head_at + len(_SIGNED_BEGINNING)]
        dot = behind.start()


def _sum_of(head: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.crc32(head).to_bytes(4, "big"))[:_SUM_CHARACTERS].decode()


def _told_apart(secret: str) -> str:
    whole = f"e{secret.removeprefix('e')}"
    return hashlib.sha256(whole.encode()).hexdigest()[:_SHOWN_DIGITS]

"""Takes secrets out of text: those known by their value, and whatever looks like one (S27).

Two layers, since neither is enough: a value is found wherever it stands, but only if it is a setting of today;
a pattern finds what a client sent and what was a setting last month, but only in a form that it knows.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from entrepot.kernel.secret_forms import without_secrets
from entrepot.settings.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Redactor"]

_WHOLE_WORDS_BELOW: Final = 4
"""Shorter secrets are masked as whole words only: each "a" of a text is not one."""
_SENSITIVE_NAME: Final = re.compile(
    r"password|passwd|passphrase|secret|token|signature|credential|authorization|cookie|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|\A(?:auth|sig|pwd)\Z",
    re.IGNORECASE,
)
# Log lines hold what strangers sent, so no pattern may take more than linear time: each begins where a word begins.
_PATTERNS: Final = (
    # A PEM block, also one whose end is missing.
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
    # The user's part of a URL. That of a database goes to the last @, since a password may hold an unescaped slash.
    (re.compile(r"(postgres(?:ql)?://)[^\s\"'<>]{0,500}@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*+://)[^\s\"'<>@/]*+@", re.IGNORECASE), rf"\1{MASK}@"),
    # Headers, in a request, a dict or a list of pairs: all that follows on the line or between the quotes.
    (
        re.compile(
            r"((?:proxy-)?authorization|(?:set-)?cookie|x-registry-auth|x-amz-security-token|x-api-key)"
            r"(\\?[\"']?\s*[,:=]\s*b?\\?[\"']?)[^\"'\r\n\\]+",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\b(AWS4-HMAC-SHA256)\s+Credential=[^\"'\r\n]*", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(basic|bearer|negotiate)\s+[a-z0-9+/=_.~-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    # What looks like a secret that the registry makes, also of earlier programs, which gave them no checksum.
    (re.compile(r"(?<![\w-])e(?:pt|pr|rs|ss)_[\w-]{8,}"), MASK),
    # JSON web tokens, wherever they stand.
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), MASK),
)
_NAMED: Final = re.compile(r"(?<![\w.-])([\w.-]++)\\?[\"']?\s*[=:]\s*(\\?[\"'])?")
"""A name and what stands between it and its value: queries (X-Amz-Signature=…), connection strings, settings files."""
_VALUE: Final = re.compile(r"(?!(?:true|false|null)\b)[^&\s\"'<>;,\\]+")
_QUOTED_VALUES: Final = {
    '"': re.compile(r'(?:\\.|[^"\\])++', re.DOTALL),
    "'": re.compile(r"(?:\\.|[^'\\])++", re.DOTALL),
    '\\"': re.compile(r'(?:(?!\\").)++', re.DOTALL),
    "\\'": re.compile(r"(?:(?!\\').)++", re.DOTALL),
}
"""By the quotes before them: all up to the next ones, blanks as well, or to the end where there are none."""


class Redactor:
    """Masks known secrets in every form in which text carries them, and what looks like a secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = _compile(secrets)

    def clean_text(self, text: str) -> str:
        """Return the text without secrets."""
        text = without_secrets(self.mask_known(text))
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return _mask_named(text)

    def clean_lines(self, text: str) -> str:
        """Return lines of a log without secrets; a line that is JSON stays JSON."""
        return "".join(f"{self._clean_line(line)}\n" for line in text.splitlines())

    def clean_value(self, value: object) -> object:
        """Return a value of JSON with every text in it cleaned; what a telling name stands for is masked whole."""
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, dict):
            return self._clean_mapping(value)  # pyright: ignore[reportUnknownArgumentType] - of JSON, so by text
        if isinstance(value, (list, tuple)):
            return self._clean_sequence(value)  # pyright: ignore[reportUnknownArgumentType] - as above
        return value

    def mask_known(self, text: str) -> str:
        """Return the text without the secrets known by value."""
        return text if self._known is None else self._known.sub(MASK, text)

    def _clean_line(self, line: str) -> str:
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                return self.clean_text(line)
            return self.mask_known(
                json.dumps(self.clean_value(value), ensure_ascii=False, separators=(",", ":"))
            )
        return self.clean_text(line)

    def _clean_mapping(self, value: Mapping[str, object]) -> dict[str, object]:
        return {
            self.clean_text(name): MASK
            if isinstance(inner, str) and inner and _SENSITIVE_NAME.search(name)
            else self.clean_value(inner)
            for name, inner in value.items()
        }

    def _clean_sequence(self, value: Sequence[object]) -> list[object]:
        """Clean a list; the second of a pair is masked when the first names a secret, as in lists of headers."""
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str):
            ((name, inner),) = self._clean_mapping({value[0]: value[1]}).items()
            return [name, inner]
        return [self.clean_value(inner) for inner in value]


def _mask_named(text: str) -> str:
    """Mask the values of telling names."""
    pieces: list[str] = []
    start = 0
    for named in _NAMED.finditer(text):
        if named.end() < start or not _SENSITIVE_NAME.search(named[1]):
            continue  # each character is looked at once, though a value may hold further names
        value = _QUOTED_VALUES.get(named[2], _VALUE).match(text, named.end())
        if value is not None:
            pieces += [text[start : named.end()], MASK]
            start = value.end()
    return "".join((*pieces, text[start:]))


def _compile(secrets: Iterable[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    alternatives = [
        re.escape(form) if len(form) >= _WHOLE_WORDS_BELOW else rf"\b{re.escape(form)}\b"
        for form in sorted(forms, key=len, reverse=True)  # a secret may begin like another
    ]
    return re.compile("|".join(alternatives)) if alternatives else None


def _forms(secret: str) -> set[str]:
    """Return how a secret looks in plain text, URLs, JSON, Python's repr, and Base64 of itself."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode("ascii"),
    }

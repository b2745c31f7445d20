"""``entrepot doctor`` on the file of words that no password may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_commands import find, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "status", "expected"),
    [
        (b"hovercraft\n", "ok", "can be read"),
        (None, "fail", "can't be read: No such file or directory"),
        (b"caf\xe9\n", "fail", "can't be read: it is no text in UTF-8"),
    ],
)
def test_doctor_looks_at_the_dictionary(
    tmp_path: Path, content: bytes | None, status: str, expected: str
) -> None:
    """A file of words that no start could read is told of before one needs it."""
    words = tmp_path / "words.txt"
    if content is not None:
        words.write_bytes(content)
    result = run(
        tmp_path,
        *("doctor", "--data", str(tmp_path / "data"), "-o", "json"),
        ENTREPOT_PASSWORDS_DICTIONARY_FILE=str(words),
    )

    found, message = find(json.loads(result.stdout), "dictionary")
    assert (found, f"{words} {expected}" in message) == (status, True), message

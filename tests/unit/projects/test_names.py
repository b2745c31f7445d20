"""Which texts name a project."""

from __future__ import annotations

import base64
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.oci.names import RepositoryName
from entrepot.projects.errors import ProjectNameInvalidError
from entrepot.projects.names import require_project_name

_PIECE = st.text("abcxyz019", min_size=1, max_size=8)


@pytest.mark.parametrize("name", ["a", "0", "library", "team-1", "a.b_c-d", "x" * 253])
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert require_project_name(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "a/b",
        "-a",
        "a-",
        "a..b",
        "a--b",
        "a__b",
        "a.-b",
        "a b",
        "a\n",
        "a#1",
        "ä",
        "x" * 254,
        "..",
        "*",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ProjectNameInvalidError):
        require_project_name(text)


@given(st.lists(_PIECE, min_size=1, max_size=6), st.lists(st.sampled_from("._-"), min_size=6, max_size=6))
def test_pieces_joined_by_single_marks_name_a_project_that_repositories_find(
    pieces: list[str], marks: list[str]
) -> None:
    name = pieces[0] + "".join(mark + piece for mark, piece in zip(marks, pieces[1:], strict=False))

    assert RepositoryName.parse(f"{require_project_name(name)}/app").project == name


@given(st.text(max_size=20))
def test_any_text_is_a_safe_name_or_refused(text: str) -> None:
    try:
        name = require_project_name(text)
    except ProjectNameInvalidError:
        return
    assert name == text
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert name[0].isalnum()
    assert name[-1].isalnum()


def test_no_project_has_the_name_of_a_secret_i11() -> None:
    """Records tell such a name masked, and would not be found by the project."""
    heads = (f"ept_{number:020d}" for number in range(10_000))
    named = next(head + tail for head in heads if re.fullmatch("[a-z0-9]{6}", tail := _checksum(head)))

    with pytest.raises(ProjectNameInvalidError):
        require_project_name(named)
    assert require_project_name(named[:-1]) == named[:-1]


def _checksum(head: str) -> str:
    return base64.urlsafe_b64encode(zlib.crc32(head.encode()).to_bytes(4, "big"))[:6].decode()

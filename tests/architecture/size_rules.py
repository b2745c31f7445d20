"""Walls for the tail: no file and no function grows past what one reader holds in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.architecture.source_files import functions_of

if TYPE_CHECKING:
    from tests.architecture.source_files import SourceFile

__all__ = [
    "FILE_WALL",
    "FUNCTION_WALL",
    "LONG_FUNCTIONS",
    "REVIEW_FROM",
    "check_attics",
    "check_sizes",
    "lines_of",
]

FILE_WALL: Final = 500
REVIEW_FROM: Final = 250
"""Files longer than this are printed, so that the next change there is the occasion to part them."""

FUNCTION_WALL: Final = 60

LONG_FUNCTIONS: Final[dict[str, str]] = {}
"""`path::Class.function` of each function allowed past the wall, with the reason."""

_ATTICS: Final = frozenset({"utils", "util", "common", "helpers", "helper", "misc"})


def lines_of(file: SourceFile) -> int:
    """Return the number of lines, blank ones and comments included."""
    return file.text.count("\n")


def check_sizes(file: SourceFile) -> list[str]:
    """Return what is too long in a file."""
    faults: list[str] = []
    if lines_of(file) > FILE_WALL:
        faults.append(f"{file.path}: {lines_of(file)} lines, the wall is {FILE_WALL}")
    for name, function in functions_of(file.tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_WALL and f"{file.path}::{name}" not in LONG_FUNCTIONS:
            faults.append(f"{file.path}::{name}: {length} lines, the wall is {FUNCTION_WALL}")
    return faults


def check_attics(file: SourceFile) -> list[str]:
    """Return a fault when a module or package is named for nothing in particular."""
    parts = file.path.removesuffix(".py").split("/")
    return [f"{file.path}: '{part}' says nothing; name the thing" for part in parts if part in _ATTICS]

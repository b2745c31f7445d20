"""Reads sampled stacks as py-spy writes them and says which functions the time went to, by themselves and below."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FunctionShare", "Stack", "parse_stacks", "rank_functions"]

_FRAME: Final = re.compile(r"^(?P<name>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")
_PYTHON_VERSION: Final = re.compile(r"^\.\d+/")
_PACKAGES: Final = ("site-packages/", "/src/", "lib/python3")

_WAITING: Final = frozenset(
    {
        "_worker (concurrent/futures/thread.py)",
        "EpollSelector.select (selectors.py)",
        "SqliteWriter._serve (entrepot/metadata/sql/sqlite_writer.py)",
    }
)


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames from the outermost to the innermost, and how many samples showed exactly these."""

    frames: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class FunctionShare:
    """One function's part of all samples: in its own code, and with all that it called."""

    function: str
    own: float
    total: float


def parse_stacks(text: str) -> list[Stack]:
    """Read the raw format: `frame;frame;... count` on each line.

    Left out are lines without a frame (threads of the HTTP server that run no Python) and threads that wait for work,
    which the sampler takes for busy where the kernel is slow to put them to sleep.

    Raises:
        ValueError: a line has another form.
    """
    stacks: list[Stack] = []
    for line in text.splitlines():
        path, _, count = line.rpartition(" ")
        if not count.isdigit():
            raise ValueError(f"no stack: {line}")
        frames = tuple(_shorten(frame) for frame in path.split(";"))
        if path and frames[-1] not in _WAITING:
            stacks.append(Stack(frames, int(count)))
    return stacks


def rank_functions(stacks: Iterable[Stack]) -> list[FunctionShare]:
    """Return all functions, the most expensive by itself first; recursion counts a sample once."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for stack in stacks:
        samples += stack.count
        own[stack.frames[-1]] += stack.count
        for function in set(stack.frames):
            total[function] += stack.count
    shares = [FunctionShare(name, own[name] / samples, total[name] / samples) for name in total]
    return sorted(shares, key=lambda share: (-share.own, -share.total, share.function))


def _shorten(frame: str) -> str:
    """Return `function (module path)` without directories that differ between machines."""
    found = _FRAME.match(frame)
    if found is None:
        return frame
    file = found["file"]
    for package in _PACKAGES:
        if package in file:
            file = file.rpartition(package)[2]
    file = _PYTHON_VERSION.sub("", file)
    return f"{found['name']} ({file})"

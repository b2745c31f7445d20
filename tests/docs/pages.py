"""The documentation as pages: where they lie, their headings, links, tables, code and generated blocks."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROOT", "Block", "Page", "load_page", "load_pages", "slug"]

ROOT: Final = Path(__file__).resolve().parents[2]

_BLOCK: Final = re.compile(
    r"^<!-- generated: (?P<name>[a-z-]+) -->\n(?P<content>.*?)^<!-- end of generated -->$",
    re.DOTALL | re.MULTILINE,
)
_FENCE: Final = re.compile(r"^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_INLINE_CODE: Final = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a page that a program writes."""

    name: str
    content: str
    start: int
    end: int
    """Where the content lies in the page's text."""


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file: its path relative to the project, with slashes, and its text."""

    path: str
    text: str

    @property
    def prose(self) -> str:
        """The text without fenced code."""
        return _FENCE.sub("", self.text)

    def blocks(self) -> list[Block]:
        """Return the generated parts in order."""
        return [
            Block(found["name"], found["content"], found.start("content"), found.end("content"))
            for found in _BLOCK.finditer(self.text)
        ]

    def headings(self) -> list[tuple[int, str]]:
        """Return level and text of each heading."""
        return [(len(found[1]), found[2].strip()) for found in _HEADING.finditer(self.prose)]

    def anchors(self) -> set[str]:
        """Return what a link may name after `#`."""
        return {slug(text) for _, text in self.headings()}

    def links(self) -> list[str]:
        """Return the targets of all links outside code."""
        return _LINK.findall(_INLINE_CODE.sub("", self.prose))

    def code(self, language: str) -> list[str]:
        """Return the fenced blocks of one language."""
        return [found["code"] for found in _FENCE.finditer(self.text) if found["language"] == language]

    def table_rows(self) -> Iterator[list[str]]:
        """Yield the cells of each row of each table, headers included, separator lines not."""
        for line in self.prose.splitlines():
            if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
                yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def slug(heading: str) -> str:
    """Return the anchor that code hosts make of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", ""))
    return kept.replace(" ", "-")


def load_page(path: str) -> Page:
    """Read one page by its path relative to the project."""
    return Page(path, (ROOT / path).read_text(encoding="utf-8"))


@functools.cache
def load_pages() -> tuple[Page, ...]:
    """Return every page: those at the project's root, and everything below docs/."""
    files = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return tuple(load_page(path.relative_to(ROOT).as_posix()) for path in files)

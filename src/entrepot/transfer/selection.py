"""Which repositories and tags are moved, and under which names they arrive.

Patterns are shell globs in which `*` crosses slashes, as in `team/*`. They are translated to regular expressions that
can't backtrack without bounds (S38: `fnmatch` uses atomic groups).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName
from entrepot.transfer.errors import SourceUnusableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Renaming", "Selection", "is_pattern", "matches_any", "parse_renaming"]

_GLOB_CHARACTERS: Final = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Whether `text` is a glob rather than a name."""
    return not _GLOB_CHARACTERS.isdisjoint(text)


@dataclass(frozen=True, slots=True)
class Renaming:
    """A leading part of repository names, whole segments, and what takes its place."""

    old: str
    new: str

    def apply(self, name: str) -> str | None:
        """Return the new name, `None` when the rule does not concern it."""
        if name == self.old:
            return self.new or None
        if self.old and not name.startswith(f"{self.old}/"):
            return None
        rest = name.removeprefix(self.old).removeprefix("/")
        return f"{self.new}/{rest}" if self.new else rest


def parse_renaming(text: str) -> Renaming:
    """Read `old=new`; `old=` drops a leading part.

    Raises:
        SourceUnusableError: it has another form.
    """
    old, equals, new = text.partition("=")
    if not equals or not old:
        raise SourceUnusableError(f"--rename {text}: write old=new, as in --rename legacy=archive/legacy")
    return Renaming(old.strip("/"), new.strip("/"))


@dataclass(frozen=True, slots=True)
class Selection:
    """What is chosen: everything, unless patterns say otherwise. The first renaming that applies wins.

    Attributes:
        exclude: patterns of repositories, or of `repository:tag`, that are left out.
        prefix: leading segments that every name gets at last.
    """

    repositories: Sequence[str] = ()
    tags: Sequence[str] = ()
    exclude: Sequence[str] = ()
    renamings: Sequence[Renaming] = ()
    prefix: str = ""

    @property
    def named_repositories(self) -> tuple[str, ...] | None:
        """The chosen repositories when all are named outright, so that nobody has to list any; else `None`."""
        if not self.repositories or any(map(is_pattern, self.repositories)):
            return None
        return tuple(dict.fromkeys(self.repositories))

    def has_repository(self, name: str) -> bool:
        """Whether a repository, by its name at the source, is chosen."""
        return (not self.repositories or matches_any(self.repositories, name)) and not matches_any(
            self.exclude, name
        )

    def has_tag(self, repository: str, tag: str) -> bool:
        """Whether a tag of a chosen repository is chosen."""
        return (not self.tags or matches_any(self.tags, tag)) and not matches_any(
            self.exclude, f"{repository}:{tag}"
        )

    def rename(self, name: str) -> RepositoryName:
        """Return the name in the target.

        Raises:
            InvalidRepositoryNameError: it can't be one.
        """
        for renaming in self.renamings:
            if (renamed := renaming.apply(name)) is not None:
                name = renamed
                break
        if self.prefix:
            name = f"{self.prefix.strip('/')}/{name}"
        if not name:
            raise InvalidRepositoryNameError(name)
        return RepositoryName.parse(name)


def matches_any(patterns: Sequence[str], text: str) -> bool:
    """Whether one of the globs matches the whole text; upper and lower case differ."""
    return any(_compiled(pattern).match(text) is not None for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))

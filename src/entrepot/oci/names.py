"""Repository, project and tag names (OCI distribution-spec, "Pulling manifests": <name> and <reference>)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "DEFAULT_PROJECT",
    "InvalidRepositoryNameError",
    "InvalidTagNameError",
    "RepositoryName",
    "TagName",
]

DEFAULT_PROJECT: Final = "library"
"""Where a repository with a single-segment name lives."""

_ALONE: Final = "_/"
"""What goes before a name that has no project in it, where names are those within a project. No name begins so."""

_MAX_NAME_LENGTH: Final = 255
_NAME_PATTERN: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z", re.ASCII
)
_TAG_PATTERN: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z", re.ASCII)


class InvalidRepositoryNameError(EntrepotError):
    """A text that can't name a repository."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "a repository name is lower-case letters and digits, joined by '.', '_', '__' or '-', "
            f"in segments separated by '/', {_MAX_NAME_LENGTH} characters at most"
        )
        self.text = text


class InvalidTagNameError(EntrepotError):
    """A text that can't name a tag."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "a tag is a letter, digit or '_' followed by up to 127 letters, digits, '.', '_' or '-'"
        )
        self.text = text


class RepositoryName(msgspec.Struct, frozen=True, order=True, gc=False):
    """The name of an OCI repository; its first segment is the project, `library` when it has only one."""

    text: str

    @staticmethod
    def parse(text: str) -> RepositoryName:
        """Read a repository name as a client writes it.

        Raises:
            InvalidRepositoryNameError: when it breaks the grammar or is too long.
        """
        return _parse_repository_name(text)

    @staticmethod
    def within(project: str, name: str) -> RepositoryName:
        """Read the name that a repository has within its project.

        In `library`, `app` is `library/app`, always, and `_/app` is the repository `app`.

        Raises:
            InvalidRepositoryNameError: no repository can be called so.
        """
        alone = name.removeprefix(_ALONE)
        if project == DEFAULT_PROJECT and alone != name and "/" not in alone:
            return _parse_repository_name(alone)
        return _parse_repository_name(f"{project}/{name}")

    @property
    def project(self) -> str:
        """The project that owns the repository."""
        head, slash, _ = self.text.partition("/")
        return head if slash else DEFAULT_PROJECT

    @property
    def name_within(self) -> str:
        """The name within the project, as `within` reads it."""
        _, slash, rest = self.text.partition("/")
        return rest if slash else f"{_ALONE}{self.text}"

    def __str__(self) -> str:
        return self.text


class TagName(msgspec.Struct, frozen=True, order=True, gc=False):
    """A tag: a name that may move from one manifest to another."""

    text: str

    @classmethod
    def parse(cls, text: str) -> TagName:
        """Read a tag.

        Raises:
            InvalidTagNameError: when it breaks the grammar.
        """
        if _TAG_PATTERN.match(text) is None:
            raise InvalidTagNameError(text)
        return cls(text)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def _parse_repository_name(text: str) -> RepositoryName:
    """Kept for the names that are asked for all the time: the pattern takes longer than any other step of routing."""
    if len(text) > _MAX_NAME_LENGTH or _NAME_PATTERN.match(text) is None:
        raise InvalidRepositoryNameError(text)
    return RepositoryName(text)

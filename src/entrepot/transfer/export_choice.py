"""Which images are exported, as they are named on a command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.transfer.selection import is_pattern, matches_any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

__all__ = ["ChosenImages", "parse_chosen"]


@dataclass(frozen=True, slots=True)
class _Choice:
    """One argument: a repository or a glob of such, and a tag, a glob of tags, or a digest."""

    repository: str
    reference: str | Digest


@dataclass(frozen=True, slots=True)
class ChosenImages:
    """All arguments; none means everything."""

    choices: Sequence[_Choice]

    @property
    def named_repositories(self) -> Sequence[RepositoryName] | None:
        """The repositories when all are named outright, else `None`."""
        if not self.choices or any(is_pattern(choice.repository) for choice in self.choices):
            return None
        return [RepositoryName.parse(name) for name in dict.fromkeys(one.repository for one in self.choices)]

    @property
    def single_repository(self) -> RepositoryName | None:
        """The repository when there can be only one."""
        named = self.named_repositories
        return named[0] if named is not None and len(named) == 1 else None

    def choose(self, names: Iterable[str]) -> Iterator[RepositoryName]:
        """Yield those of the names that are chosen."""
        patterns = [choice.repository for choice in self.choices]
        yield from (
            RepositoryName.parse(name) for name in names if not patterns or matches_any(patterns, name)
        )

    async def references(
        self, repository: RepositoryName, tags: AsyncIterator[TagName]
    ) -> Sequence[TagName | Digest]:
        """Return what is chosen of a repository with these tags. A tag that is named outright need not be there."""
        choices = [one for one in self.choices if matches_any([one.repository], repository.text)]
        patterns = [one.reference for one in choices if isinstance(one.reference, str)]
        if not self.choices:
            patterns = ["*"]
        found: dict[TagName | Digest, None] = {}
        if any(map(is_pattern, patterns)):
            async for tag in tags:
                if matches_any(patterns, tag.text):
                    found[tag] = None
        found.update((TagName.parse(one), None) for one in patterns if not is_pattern(one))
        found.update((one.reference, None) for one in choices if isinstance(one.reference, Digest))
        return list(found)


def parse_chosen(texts: Iterable[str]) -> ChosenImages:
    """Read arguments such as `team/app`, `team/*:v1.*` and `team/app@sha256:…`.

    Raises:
        InvalidDigestError, InvalidRepositoryNameError, InvalidTagNameError: one of them is none.
    """
    return ChosenImages([_parse(text) for text in texts])


def _parse(text: str) -> _Choice:
    name, at, digest = text.partition("@")
    if at:
        return _Choice(_name(name), Digest.parse(digest))
    name, colon, tag = text.partition(":")
    return _Choice(_name(name), tag if colon else "*")


def _name(text: str) -> str:
    return text if is_pattern(text) else RepositoryName.parse(text).text

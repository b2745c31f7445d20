"""What ``entrepot import`` brings in, and under which names: the options for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from entrepot.transfer.selection import Selection, parse_renaming

__all__ = ["ImportChoice"]


@dataclass(frozen=True, slots=True)
class ImportChoice:
    """What is imported, and under which names."""

    repository: Annotated[
        tuple[str, ...],
        Parameter(
            name="--repository", negative="", help="Repositories, or globs of such as 'team/*'. Repeatable."
        ),
    ] = ()
    tag: Annotated[
        tuple[str, ...],
        Parameter(name="--tag", negative="", help="Tags, or globs of such as 'v1.*'; nothing untagged then."),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Parameter(
            name="--exclude", negative="", help="Globs of repositories or of repository:tag to leave out."
        ),
    ] = ()
    rename: Annotated[
        tuple[str, ...],
        Parameter(
            name="--rename", negative="", help="old=new, leading segments of names; the first that fits."
        ),
    ] = ()
    prefix: Annotated[str, Parameter(name="--prefix", help="Leading segments that every name gets.")] = ""
    tagged_only: Annotated[
        bool,
        Parameter(
            name="--tagged-only",
            negative="",
            help="Leave out manifests that have no tag and are attached to none that has.",
        ),
    ] = False

    def selection(self) -> Selection:
        """Return the choice as the import takes it."""
        return Selection(
            repositories=self.repository,
            tags=self.tag,
            exclude=self.exclude,
            renamings=tuple(map(parse_renaming, self.rename)),
            prefix=self.prefix,
        )

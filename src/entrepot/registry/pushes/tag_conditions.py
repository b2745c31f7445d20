"""What tags must point at for a push to move them: creating without overwriting, and compare-and-swap (S11, I4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from entrepot.oci.digest import Digest

__all__ = ["UNCONDITIONAL", "TagCondition"]


@dataclass(frozen=True, slots=True)
class TagCondition:
    """A condition that holds or fails for each tag of a push by itself; one failure undoes all of the push.

    Attributes:
        one_of: texts of digests of which the tag must point at one; `None` allows any, and no tag at all.
        none_of: texts of digests at none of which the tag may point.
        exists: whether the tag must be there (`True`), must not be there (`False`), or either (`None`).
    """

    one_of: frozenset[str] | None = None
    none_of: frozenset[str] = frozenset()
    exists: bool | None = None

    def allows(self, previous: Digest | None) -> bool:
        """Whether a tag that pointed at `previous` (`None`: that was not there) may be moved."""
        if self.exists is not None and self.exists != (previous is not None):
            return False
        if self.one_of is not None and (previous is None or str(previous) not in self.one_of):
            return False
        return previous is None or str(previous) not in self.none_of


UNCONDITIONAL: Final = TagCondition()
"""What a push without a condition asks for."""

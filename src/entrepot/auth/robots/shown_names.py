"""What somebody means who looks for robots by the name that is shown: `robot$team+ci`, `team+ci`, or `ci` alone.

Rows are looked for by the robot's own name, and a listing is of one place, so what stands before that name is the same
for all of them. Harbor keeps `team+ci` and looks through that, so a part of the project's name finds all robots of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["WantedName", "meant_name", "meant_part"]

_MARK: Final = "robot$"


class WantedName(msgspec.Struct, frozen=True):
    """What the own names of robots have.

    Attributes:
        text: empty for all names.
        begins: whether they begin with it; else they have it anywhere.
    """

    text: str
    begins: bool = False


def meant_name(name: str, project: str) -> str:
    """Return the own name of the robot of a project, or with an empty one of the system, that is called so.

    A name that belongs elsewhere, or ends where the own one should begin, is returned as it is: no robot's own name has
    its `$` or `+`.
    """
    beginning = f"{project}+" if project else ""
    for before in (_MARK + beginning, beginning):
        if before and name.startswith(before):
            return name.removeprefix(before) or name
    return name


def meant_part(part: str, project: str) -> WantedName:
    """Return what the own names of robots have whose shown names have a part.

    The `robot$` before each of them is a part of all, so letters of it find nothing by themselves: who looks for `bot`
    does not mean all of them. It counts as soon as the part has its `$`.
    """
    beginning = f"{project}+" if project else ""
    if "$" in part:
        before, _, rest = part.rpartition("$")
        if not _MARK.endswith(f"{before}$"):
            return WantedName(part)
        if beginning.startswith(rest):
            return WantedName("")
        return WantedName(rest.removeprefix(beginning) if rest.startswith(beginning) else part, begins=True)
    if part in beginning:
        return WantedName("")
    before, plus, rest = part.rpartition("+")
    return WantedName(rest, begins=True) if plus and beginning.endswith(f"{before}+") else WantedName(part)

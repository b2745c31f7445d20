"""What each role may do, written down by hand: real clients are held to it, and the page of the article's roles."""

from __future__ import annotations

from typing import Final

__all__ = ["COLUMNS", "TABLE"]

COLUMNS: Final = (
    "pull",
    "push",
    "delete",
    "delete in another team's project",
    "create a repository",
    "read the project's audit log",
    "read the whole audit log",
    "change who is a member",
)
TABLE: Final = {
    #                    pull   push   delete other  create audit  all    members
    "developer":        (True,  True,  False, False, False, False, False, False),
    "team-lead":        (True,  True,  True,  False, False, True,  False, False),
    "operations-admin": (True,  True,  True,  True,  True,  True,  True,  True),
    "auditor":          (False, False, False, False, False, True,  True,  False),
    "guest":            (True,  False, False, False, False, False, False, False),
    "project-admin":    (True,  True,  True,  False, True,  True,  False, True),
    "outsider":         (False, False, False, False, False, False, False, False),
}  # fmt: skip
"""What each role may do in a private project of its own team, by column."""

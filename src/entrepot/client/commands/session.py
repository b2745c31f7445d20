"""``entrepot session …``: who is logged in with a browser, and ending that."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import segment
from entrepot.client.listing import list_items
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_items

__all__ = ["end_session", "list_sessions"]

_SessionArgument = Annotated[str, Parameter(help="Id of the session.")]
_AllOption = Annotated[
    bool,
    Parameter(name="--all", negative="", help="The sessions of everybody; for administrators and auditors."),
]

_COLUMNS: Columns = (
    ("ID", "id"),
    ("USER", "username"),
    ("ADDRESS", "address"),
    ("BEGAN", "creation_time"),
    ("LAST USED", "last_use_time"),
    ("BROWSER", "user_agent"),
)


def list_sessions(
    *,
    all_of_them: _AllOption = False,
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List your sessions in browsers, the newest first; with --all everybody's, the oldest first."""
    with open_api(target) as api:
        items = list_items(api, "/sessions", {"all": "true"} if all_of_them else None, limit)
    show_items(items, _COLUMNS, output)


def end_session(
    session: _SessionArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE
) -> None:
    """End one of your sessions in browsers; an administrator, anybody's."""
    require_consent(f"End the session {session}?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", f"/sessions/{segment(session)}")
    say(f"Ended the session {session}.")

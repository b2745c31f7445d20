"""``entrepot logout``: forgets a login, and has the registry forget its token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.client.choosing import find_login, login_file, open_with
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_NOT_LOGGED_IN, EXIT_UNREACHABLE, ClientError
from entrepot.client.options import ANYWHERE
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import say, time_of

if TYPE_CHECKING:
    from entrepot.client.logins import Login, LoginFile

__all__ = ["logout"]

_ServerArgument = Annotated[str, Parameter(help="The registry; else the current one.")]
_AllOption = Annotated[bool, Parameter(name="--all", negative="", help="Log out everywhere.")]


def logout(server: _ServerArgument = "", /, *, all_: _AllOption = False) -> None:
    """Log out: remove the token at the registry, and the login here even when the registry can't be reached."""
    file = login_file()
    logins = file.load()
    one = find_login(logins, server) if server else logins.in_use
    chosen = list(logins.by_url.values()) if all_ else [one] if one is not None else []
    if not chosen:
        raise ClientError(EXIT_NOT_LOGGED_IN, "entrepot: not logged in there")
    left: list[str] = []
    for login in chosen:
        problem = _remove_token(login)
        _forget(file, login.url)
        say(f"Logged out of {login.url}.")
        if problem is not None:
            until = f" until {time_of(login.expires_at)}" if login.expires_at else ""
            left += [*problem.lines[:1], f"Its token is still good{until}: entrepot token list"]
    stored = file.load()
    if stored.in_use is None and stored.by_url:
        say("No other registry takes its place: choose one with entrepot server use, or log in again.")
    if left:
        raise ClientError(EXIT_UNREACHABLE, *left)


def _forget(file: LoginFile, url: str) -> None:
    file.change(lambda stored: stored.without(url))


def _remove_token(login: Login) -> ClientError | None:
    """Return why the token is still there, if it is; one that no longer counts is as good as removed."""
    if not login.token_id:
        return None
    try:
        with open_with(login, ANYWHERE) as api:
            api.call("DELETE", f"/access-tokens/{segment(login.token_id)}")
    except RefusedError as error:
        return None if error.status in {401, 404} else error
    except ClientError as error:
        return error
    return None

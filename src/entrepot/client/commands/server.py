"""``entrepot server …``: which registries this person is logged in to, and which one is meant by default."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from entrepot.client.choosing import find_login, login_file
from entrepot.client.errors import EXIT_NOT_LOGGED_IN, ClientError
from entrepot.client.options import OutputOption  # noqa: TC001  # read at run time
from entrepot.client.showing import say, show_items

__all__ = ["list_servers", "use_server"]

_ServerArgument = Annotated[str, Parameter(help="A registry that you are logged in to.")]


def list_servers(*, output: OutputOption = "table") -> None:
    """List the registries that you are logged in to. Nothing is asked of them."""
    logins = login_file().load()
    items = [
        {
            "server": url,
            "user": login.user,
            "login": login.kind,
            "expires_at": login.expires_at or None,
            "current": url == logins.current,
        }
        for url, login in sorted(logins.by_url.items())
    ]
    columns = (
        ("SERVER", "server"),
        ("USER", "user"),
        ("LOGIN", "login"),
        ("ENDS", "expires_at"),
        ("CURRENT", "current"),
    )
    show_items(items, columns, output)


def use_server(server: _ServerArgument, /) -> None:
    """Make a registry the current one."""
    file = login_file()
    found = find_login(file.load(), server)
    if found is None:
        raise ClientError(
            EXIT_NOT_LOGGED_IN, f"entrepot: not logged in to {server}", f"Run: entrepot login {server}"
        )
    url = found.url
    file.change(lambda logins: logins.using(url) if url in logins.by_url else logins)
    say(f"The current registry is {url}.")

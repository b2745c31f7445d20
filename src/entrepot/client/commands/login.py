"""``entrepot login``: proves who somebody is, and keeps an access token in place of their password."""

from __future__ import annotations

import contextlib
import secrets
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from entrepot.client.addresses import parse_address
from entrepot.client.asking import ask_line, ask_new_secret, ask_secret, is_terminal, read_secret
from entrepot.client.choosing import login_file, open_with
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_REFUSED, ClientError
from entrepot.client.logins import Login
from entrepot.client.options import (
    ANYWHERE,
    CaFileOption,
    PasswordFileOption,
    PasswordStdinOption,
    PlainHttpOption,
)
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import say, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.client.connection import Api
    from entrepot.client.listing import Item
    from entrepot.client.logins import Logins

__all__ = ["login"]

_DAYS: Final = 30
_TRIES: Final = 3
_NOT_ACCEPTED: Final = 400
_ROBOT_PREFIX: Final = "robot$"
_TOKEN_PREFIX: Final = "ept_"  # noqa: S105  # how access tokens begin
_NO_API: Final = "this registry has no such endpoint"
"""What a registry of ours says of the whole management API as long as it has no accounts."""
_DUE: Final = "the password has to be changed first"
"""What a registry of ours says then, and how to do it without a login, which is being made here."""
_MOST_NAME_CHARACTERS: Final = 64

_ServerArgument = Annotated[str, Parameter(help="The registry: a URL, or a host with or without a port.")]
_UserOption = Annotated[str, Parameter(name=["--user", "-u"], help="Who logs in; asked for if left out.")]
_StoreOption = Annotated[
    bool,
    Parameter(
        name="--store-password",
        negative="",
        help="Keep the password itself, for a registry that makes no access tokens.",
    ),
]


def login(
    server: _ServerArgument,
    /,
    *,
    user: _UserOption = "",
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    store_password: _StoreOption = False,
    ca_file: CaFileOption = None,
    plain_http: PlainHttpOption = False,
) -> None:
    """Log in to a registry, which then is the current one; what is kept is an access token of 30 days."""
    address = parse_address(server, plain_http=plain_http, tls=ca_file is not None)
    name = user or ask_line("Name: ", "Name yourself with --user.")
    given = read_secret(password_file, stdin=password_stdin)
    secret = given or ask_secret(
        f"Password of {name} at {address.url}: ", "Use --password-stdin or --password-file."
    )
    trusted = "" if ca_file is None else str(Path(ca_file).absolute())
    typed = Login(address.url, name, "password", secret, ca_file=trusted)
    file = login_file()
    stored = file.load()
    before = stored.by_url.get(address.url)
    with _telling_where_commands_go(stored, address.url), open_with(typed, ANYWHERE) as api:
        person = _current_person(api, typed)
        kept = _kept(typed, api, person, store_password=store_password)
    file.change(lambda logins: logins.with_login(kept))
    _remove_previous(before, typed, kept)
    ends = f"; the login ends {time_of(kept.expires_at)}" if kept.expires_at else ""
    say(f"Logged in to {kept.url} as {kept.user}{ends}.")


@contextlib.contextmanager
def _telling_where_commands_go(stored: Logins, url: str) -> Iterator[None]:
    """Add to a failure that commands go on asking another registry: the next line of a script may not mean it."""
    try:
        yield
    except ClientError as error:
        if stored.in_use is not None and stored.current != url:
            error.lines = (*error.lines, f"The current registry is still {stored.current}.")
        raise


def _current_person(api: Api, typed: Login) -> Item | None:
    """Return the person; `None` for a robot or a token with limits, which are known and have no account to show.

    Raises:
        ClientError: name or password is wrong, or this is no registry, or one without accounts.
    """
    try:
        person: Item = api.get("/users/current").document
    except RefusedError as error:
        nameless = typed.user.startswith(_ROBOT_PREFIX) or typed.secret.startswith(_TOKEN_PREFIX)
        if error.status == 404 and any(_NO_API in message for message in error.messages):
            raise ClientError(
                EXIT_REFUSED,
                f"entrepot: {typed.url} has no accounts, so there is nobody to log in as",
                "Use it without logging in, or have access.accounts switched on in its settings.",
            ) from error
        if nameless and error.status in {403, 404} and error.messages:
            return None
        raise
    return person


def _kept(typed: Login, api: Api, person: Item | None, *, store_password: bool) -> Login:
    """Return what is stored: a token made for this machine, unless what was typed is itself meant to be stored."""
    if typed.secret.startswith(_TOKEN_PREFIX):
        return replace(typed, kind="token")
    if person is None or store_password:
        return typed
    typed = replace(typed, user=str(person.get("username") or typed.user))
    try:
        return _with_token(typed, api)
    except RefusedError as error:
        if error.status in {404, 405}:
            raise ClientError(
                EXIT_REFUSED,
                f"entrepot: {typed.url} makes no access tokens, so only the password could be kept",
                "If it may lie in a file of yours: say --store-password.",
            ) from error
        if error.status != 403:
            raise
        if not is_terminal():
            advice = (
                "Log in at a terminal, which asks for a new password, or run: entrepot user password "
                f"--server {typed.url} --user {typed.user} --password-stdin"
            )
            raise ClientError(EXIT_REFUSED, error.lines[0], advice) from error
        is_due = any(_DUE in message for message in error.messages)  # as one that an administrator gave
        say("The password has to be changed first." if is_due else error.lines[0])
        changed = _with_own_password(typed, api, person)
    with open_with(changed, ANYWHERE) as again:
        return _with_token(changed, again)


def _with_token(typed: Login, api: Api) -> Login:
    """Make a token that tells where it lies, and is of one login only: a second one would end the first."""
    mark = f"-{secrets.token_hex(3)}"
    host = socket.gethostname()[: _MOST_NAME_CHARACTERS - len(mark)] or "client"
    made: Item = api.call(
        "POST", "/access-tokens", {"name": f"{host}{mark}", "expires_in_days": _DAYS}
    ).document
    return replace(
        typed,
        kind="token",
        secret=str(made["secret"]),
        token_id=str(made["id"]),
        expires_at=str(made.get("expires_at") or ""),
    )


def _with_own_password(typed: Login, api: Api, person: Item) -> Login:
    """Have the person choose a password; again, and once more, when the registry does not accept it."""
    for _ in range(_TRIES - 1):
        try:
            return _with_chosen_password(typed, api, person)
        except RefusedError as error:
            if error.status != _NOT_ACCEPTED:
                raise
            say(error.lines[0])
    return _with_chosen_password(typed, api, person)


def _with_chosen_password(typed: Login, api: Api, person: Item) -> Login:
    chosen = ask_new_secret("New password: ", "Log in at a terminal.")
    passwords = {"old_password": typed.secret, "new_password": chosen}
    api.call("PUT", f"/users/{segment(person['user_id'])}/password", passwords)
    return replace(typed, secret=chosen)


def _remove_previous(before: Login | None, typed: Login, kept: Login) -> None:
    """Remove the token of the login that this one replaces. When that fails, it ends by itself."""
    if before is None or not before.token_id or before.token_id == kept.token_id:
        return
    try:
        with open_with(replace(before, ca_file=typed.ca_file), ANYWHERE) as api:
            api.call("DELETE", f"/access-tokens/{segment(before.token_id)}")
    except ClientError:
        say("The token of the login before could not be removed; it ends by itself.")

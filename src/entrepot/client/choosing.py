"""Decides which registry a command asks, and with which credentials."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from entrepot.client.addresses import parse_address
from entrepot.client.connection import Api
from entrepot.client.errors import EXIT_NOT_LOGGED_IN, EXIT_USAGE, ClientError
from entrepot.client.logins import Login, LoginFile, Logins, login_path
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import time_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from entrepot.client.addresses import ServerAddress
    from entrepot.client.options import Target

__all__ = ["address_of", "chosen_login", "find_login", "login_file", "named_login", "open_api", "open_with"]

SERVER_VARIABLE: Final = "REGISTRY_CLIENT_SERVER"
USER_VARIABLE: Final = "REGISTRY_CLIENT_USER"
SECRET_VARIABLE: Final = "REGISTRY_CLIENT_SECRET"  # noqa: S105  # the name of a variable


def login_file() -> LoginFile:
    """Return this person's file of logins."""
    return LoginFile(login_path(os.environ))


@contextlib.contextmanager
def open_api(target: Target) -> Generator[Api]:
    """Yield a connection with the chosen credentials.

    Raises:
        ClientError: nobody is logged in there.
    """
    login = chosen_login(target, os.environ, login_file())
    with open_with(login, target) as api:
        try:
            yield api
        except RefusedError as error:
            if error.status == HTTPStatus.UNAUTHORIZED and _has_ended(login, error.date):
                raise _ended(login) from error
            raise


def _has_ended(login: Login, date: str) -> bool:
    """Tell whether the token of a login had ended by the clock of the registry, which also told when it would."""
    try:
        return datetime.fromisoformat(login.expires_at) <= parsedate_to_datetime(date)
    except (ValueError, TypeError):  # one of them is not there, or of a form that no registry of ours writes
        return False


def _ended(login: Login) -> ClientError:
    return ClientError(
        EXIT_NOT_LOGGED_IN,
        f"entrepot: the login to {login.url} ended {time_of(login.expires_at)}",
        f"Log in again: entrepot login {login.url}",
    )


@contextlib.contextmanager
def open_with(login: Login, target: Target) -> Generator[Api]:
    """Yield a connection with the credentials of a login."""
    ca_file = str(target.ca_file) if target.ca_file is not None else login.ca_file
    api = Api(address_of(login), (login.user, login.secret), ca_file)
    try:
        yield api
    finally:
        api.close()


def address_of(login: Login) -> ServerAddress:
    """Return where a login's registry is. That http was all right was settled when it was stored or named."""
    return parse_address(login.url, plain_http=True)


def chosen_login(target: Target, environment: Mapping[str, str], file: LoginFile) -> Login:
    """Return the credentials: of the environment if it holds them, else of the file.

    Raises:
        ClientError: there are none, or the environment holds half of them.
    """
    server = target.server or environment.get(SERVER_VARIABLE, "")
    user, secret = environment.get(USER_VARIABLE, ""), environment.get(SECRET_VARIABLE, "")
    if bool(user) != bool(secret):
        raise ClientError(EXIT_USAGE, f"entrepot: {USER_VARIABLE} and {SECRET_VARIABLE} go together")
    if user:
        url = _url_for(server, target, file)
        return Login(url, user, "token" if secret.startswith("ept_") else "password", secret)
    logins = file.load()
    found = find_login(logins, server) if server else logins.in_use
    if found is None:
        raise _not_logged_in(server, logins)
    return found


def named_login(target: Target, user: str, password: str) -> Login:
    """Return a login that is kept nowhere, of somebody who is named, at the registry that is.

    Raises:
        ClientError: no registry is named, or its address is not one.
    """
    file = login_file()
    url = _url_for(target.server or os.environ.get(SERVER_VARIABLE, ""), target, file)
    known = file.load().by_url.get(url)
    return Login(url, user, "password", password, ca_file="" if known is None else known.ca_file)


def find_login(logins: Logins, server: str) -> Login | None:
    """Return the login of a registry that somebody named, with or without its scheme.

    Raises:
        ClientError: it is no address, or one of two registries under the same host and port.
    """
    named = parse_address(server, plain_http=True)
    if "://" in server:
        return logins.by_url.get(named.url)
    found = [login for url, login in logins.by_url.items() if url in _spellings(server)]
    if len(found) > 1:
        urls = " and ".join(sorted(login.url for login in found))
        raise ClientError(EXIT_USAGE, f"entrepot: {server} may be {urls}: write it whole")
    return found[0] if found else None


def _spellings(server: str) -> set[str]:
    return {parse_address(f"{scheme}://{server}", plain_http=True).url for scheme in ("https", "http")}


def _url_for(server: str, target: Target, file: LoginFile) -> str:
    if server:
        return parse_address(server, plain_http=target.plain_http, tls=target.ca_file is not None).url
    current = file.load().in_use
    if current is None:
        raise ClientError(
            EXIT_USAGE, f"entrepot: no registry is named: give --server or set {SERVER_VARIABLE}"
        )
    return current.url


def _not_logged_in(server: str, logins: Logins) -> ClientError:
    if server:
        return ClientError(
            EXIT_NOT_LOGGED_IN, f"entrepot: not logged in to {server}", f"Run: entrepot login {server}"
        )
    if logins.current:
        ways = [f"Log in again: entrepot login {logins.current}"]
        ways += [f"Or choose another one: entrepot server use {url}" for url in sorted(logins.by_url)]
        return ClientError(EXIT_NOT_LOGGED_IN, f"entrepot: logged out of {logins.current}", *ways)
    if logins.by_url:
        return ClientError(
            EXIT_NOT_LOGGED_IN,
            "entrepot: no registry is the current one",
            "Choose: entrepot server use SERVER, or give --server.",
        )
    return ClientError(
        EXIT_NOT_LOGGED_IN,
        "entrepot: not logged in",
        "Run: entrepot login SERVER, or set REGISTRY_CLIENT_SERVER, _USER and _SECRET.",
    )

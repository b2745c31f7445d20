"""``entrepot token …``: access tokens, which people give to programs in place of their password.

The registry lets no token make, show or remove others of its person, so that one that was stolen ends with itself
(S15): these commands ask for the password where the login holds a token. What an administrator sees and removes of
others needs no more than the login.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.client.asking import ask_secret, read_secret, require_consent
from entrepot.client.choosing import chosen_login, login_file, open_api, open_with
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_NOT_FOUND, EXIT_USAGE, ClientError
from entrepot.client.listing import Item, list_items, not_found
from entrepot.client.lookup import find_person
from entrepot.client.one_time import OneTimeSecret
from entrepot.client.options import (
    ANYWHERE,
    LimitOption,
    OutputOption,
    PasswordFileOption,
    PasswordStdinOption,
    TargetOption,
    YesOption,
)
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import Columns, say, show_items, show_secret, text_of, time_of
from entrepot.client.text import one_line

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from entrepot.client.connection import Api

__all__ = ["create_token", "delete_token", "list_tokens"]

_NameArgument = Annotated[str, Parameter(help="What the token is called.")]
_TokenArgument = Annotated[str, Parameter(help="Name or id of the token.")]
_AllowOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--allow",
        negative="",
        help="A permission, as repository:pull; may be repeated. Without any: all that you may.",
    ),
]
_ProjectOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--project",
        negative="",
        help="A project it is good for; may be repeated. Without any: all of them.",
    ),
]
_UserOption = Annotated[
    str, Parameter(name="--user", help="A user whose tokens are meant instead of yours; for administrators.")
]
_DaysOption = Annotated[
    int | None, Parameter(name="--days", help="How long it lives, 365 at most. As a rule 30.")
]


def _what(item: Item) -> str:
    permissions = item.get("permissions")
    return "everything" if permissions is None else text_of(permissions) or "nothing"


def _where(item: Item) -> str:
    """Return where it is good; projects that whoever looks may not see are counted only."""
    projects, hidden = item.get("projects"), item.get("hidden_project_count")
    if projects is None:
        return "everywhere"
    return text_of([*projects, f"{hidden} hidden"] if hidden else projects) or "nowhere"


def _last_use(item: Item) -> str:
    used = item.get("last_use_time")
    return time_of(used) if used else "never"


_COLUMNS: Columns = (
    ("NAME", "name"),
    ("MAY", _what),
    ("WHERE", _where),
    ("CREATED", "creation_time"),
    ("ENDS", "expires_at"),
    ("LAST USED", _last_use),
    ("ID", "id"),
)
_NO_PROJECT = "projects: there is no project"
"""How a registry of ours begins to say so."""
_SECRET: Columns = (("NAME", "name"), ("SECRET", "secret"), ("ENDS", "expires_at"))


def list_tokens(
    *,
    user: _UserOption = "",
    limit: LimitOption = 0,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List your access tokens, or a user's; the ones of logins are called after the machine."""
    with _tokens_of(user, target, password_file, stdin=password_stdin) as (api, path):
        items = list_items(api, path, None, limit)
    show_items(items, _COLUMNS, output)


def create_token(
    name: _NameArgument,
    /,
    *,
    allow: _AllowOption = (),
    project: _ProjectOption = (),
    days: _DaysOption = None,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """Create an access token and show it, this once; with -o name nothing but the token."""
    body = {
        "name": name,
        "permissions": list(allow) or None,
        "projects": list(project) or None,
        "expires_in_days": days,
    }
    once = OneTimeSecret(
        "the token",
        f"the access token {one_line(name)} was created",
        f"Delete it, and create another: entrepot token delete {quote(one_line(name))}",
    )
    once.require_output()
    with _in_person(target, password_file, stdin=password_stdin) as api, once.until_shown():
        with _missing_projects():
            made: Item = api.call(
                "POST", "/access-tokens", {key: value for key, value in body.items() if value is not None}
            ).document
        show_secret(made, _SECRET, output, once)


def delete_token(
    name: _TokenArgument,
    /,
    *,
    user: _UserOption = "",
    yes: YesOption = False,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    target: TargetOption = ANYWHERE,
) -> None:
    """Delete one of your access tokens, or a user's, which is worth nothing from then on."""
    whose = f" of {user}" if user else ""
    require_consent(f"Delete the access token {name}{whose}?", yes=yes)
    with _tokens_of(user, target, password_file, stdin=password_stdin) as (api, path):
        items = list_items(api, path)
        found = [item for item in items if item["id"] == name] or [
            item for item in items if item["name"] == name
        ]
        if not found:
            raise not_found(f"access token {name!r}{whose}")
        api.call("DELETE", f"{path}/{segment(found[0]['id'])}")
    say(f"Deleted the access token {found[0]['name']}{whose}.")


@contextlib.contextmanager
def _missing_projects() -> Generator[None]:
    """Turn the refusal of a project that is not there, or not theirs to see, into what other commands make of it."""
    try:
        yield
    except RefusedError as error:
        missing = [message for message in error.messages if message.startswith(_NO_PROJECT)]
        if missing:
            raise ClientError(EXIT_NOT_FOUND, f"entrepot: {missing[0]}", "Check the name.") from error
        raise


@contextlib.contextmanager
def _tokens_of(
    user: str, target: TargetOption, file: Path | None, *, stdin: bool
) -> Generator[tuple[Api, str]]:
    """Open the API and tell where the tokens are: one's own only to the person, somebody else's to administrators."""
    if not user:
        with _in_person(target, file, stdin=stdin) as api:
            yield api, "/access-tokens"
        return
    if stdin or file is not None:
        raise ClientError(EXIT_USAGE, "entrepot: with --user, the login that you have is what counts")
    with open_api(target) as api:
        yield api, f"/users/{segment(find_person(api, user)['user_id'])}/access-tokens"


@contextlib.contextmanager
def _in_person(target: TargetOption, file: Path | None, *, stdin: bool) -> Generator[Api]:
    login = chosen_login(target, os.environ, login_file())
    given = read_secret(file, stdin=stdin)
    if given or login.kind == "token":
        instead = "Use --password-stdin or --password-file: a token can't deal with tokens."
        password = given or ask_secret(f"Password of {login.user} at {login.url}: ", instead)
        login = replace(login, kind="password", secret=password)
    with open_with(login, target) as api:
        yield api

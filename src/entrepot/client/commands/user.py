"""``entrepot user …``: people with an account."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from cyclopts import Parameter

from entrepot.client.asking import ask_new_secret, ask_secret, read_secret, require_consent
from entrepot.client.choosing import named_login, open_api, open_with
from entrepot.client.connection import segment
from entrepot.client.listing import list_items
from entrepot.client.lookup import find_person
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
from entrepot.client.showing import Columns, say, show_created, show_item, show_items

if TYPE_CHECKING:
    from entrepot.client.connection import Api, Reply
    from entrepot.client.listing import Item

__all__ = [
    "change_own_password",
    "create_user",
    "delete_user",
    "disable_user",
    "enable_user",
    "list_users",
    "reset_password",
    "set_administrator",
    "show_user",
    "unlock_user",
]

_UserArgument = Annotated[str, Parameter(help="Name of the user.")]
_NameOption = Annotated[str, Parameter(name="--name", help="Only users whose names contain this.")]
_EmailOption = Annotated[str, Parameter(name="--email", help="Address for mail.")]
_RealNameOption = Annotated[str, Parameter(name="--real-name", help="What the person is called.")]
_CommentOption = Annotated[str, Parameter(name="--comment", help="Anything else.")]
_RevokeOption = Annotated[
    bool, Parameter(name="--revoke", negative="", help="Make somebody an administrator no longer.")
]
_OwnStdinOption = Annotated[
    bool,
    Parameter(
        name="--password-stdin",
        negative="",
        help="Read two lines from standard input: the password that holds, and the new one.",
    ),
]
_OwnOption = Annotated[
    str,
    Parameter(
        name="--user",
        help="Whose password it is, without a login: with --server, who has no login yet proves it by the password.",
    ),
]
_ENDS_A_TERM = ","
"""What no name of a user has; where names are looked for by a part, it would end that."""
_INSTEAD = "Use --password-stdin or --password-file."

_COLUMNS: Columns = (
    ("NAME", "username"),
    ("REAL NAME", "realname"),
    ("EMAIL", "email"),
    ("ADMINISTRATOR", "sysadmin_flag"),
    ("BY A GROUP", "admin_role_in_auth"),
    ("CREATED", "creation_time"),
    ("ID", "user_id"),
)


def list_users(
    *,
    name: _NameOption = "",
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the users; for administrators."""
    with open_api(target) as api:
        query = {"q": f"username=~{quote(name, safe='')}"} if name else {}
        items = [] if _ENDS_A_TERM in name else list_items(api, "/users", query, limit)
    show_items(items, _COLUMNS, output)


def show_user(
    user: _UserArgument, /, *, target: TargetOption = ANYWHERE, output: OutputOption = "table"
) -> None:
    """Show a user: yourself, or for administrators anybody."""
    with open_api(target) as api:
        item = _find(api, user)
    show_item(item, (*_COLUMNS, ("COMMENT", "comment"), ("CHANGED", "update_time")), output)


def _find(api: Api, user: str) -> Item:
    """Return a person; whoever may not look through the list finds themselves."""
    try:
        return find_person(api, user)
    except RefusedError as error:
        own: Item = api.get("/users/current").document if error.status == HTTPStatus.FORBIDDEN else {}
        if own.get("username") != user:
            raise
        return own


def create_user(
    user: _UserArgument,
    /,
    *,
    email: _EmailOption = "",
    real_name: _RealNameOption = "",
    comment: _CommentOption = "",
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """Create a user, who then has no role."""
    with open_api(target) as api:
        secret = read_secret(password_file, stdin=password_stdin)
        body = {
            "username": user,
            "password": secret or ask_new_secret(f"Password of {user}: ", _INSTEAD),
            "email": email,
            "realname": real_name,
            "comment": comment,
        }
        reply = api.call("POST", "/users", {name: value for name, value in body.items() if value})
    show_created({"username": user, "user_id": reply.created}, f"Created user {user}.", output)


def delete_user(user: _UserArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE) -> None:
    """Delete a user with every role, token and session."""
    require_consent(f"Delete user {user}?", yes=yes)
    with open_api(target) as api:
        reply = api.call("DELETE", f"/users/{segment(find_person(api, user)['user_id'])}")
    say(f"Deleted user {user}.{_stopped(reply)}")


def change_own_password(
    *, user: _OwnOption = "", password_stdin: _OwnStdinOption = False, target: TargetOption = ANYWHERE
) -> None:
    """Change your own password, also the first one, or one that is due: with --server and --user."""
    old = _own_password(password_stdin) if user else ""
    with open_with(named_login(target, user, old), target) if user else open_api(target) as api:
        own = api.get("/users/current").document
        old = old or _own_password(password_stdin)
        new = read_secret(None, stdin=password_stdin)
        if not password_stdin:
            new = ask_new_secret("New password: ", "Use --password-stdin.")
        passwords = {"old_password": old, "new_password": new}
        api.call("PUT", f"/users/{segment(own['user_id'])}/password", passwords)
    say("Changed your password.")


def _own_password(from_stdin: bool) -> str:  # noqa: FBT001  # the option itself
    return read_secret(None, stdin=from_stdin) or ask_secret("Password: ", "Use --password-stdin.")


def reset_password(
    user: _UserArgument,
    /,
    *,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    target: TargetOption = ANYWHERE,
) -> None:
    """Give a user a password, to be changed at the next login; ends their tokens and sessions. For administrators."""
    with open_api(target) as api:
        number = find_person(api, user)["user_id"]
        secret = read_secret(password_file, stdin=password_stdin)
        secret = secret or ask_new_secret(f"Password of {user}: ", _INSTEAD)
        reply = api.call("PUT", f"/users/{segment(number)}/password", {"new_password": secret})
    say(f"Gave {user} a password.{_ended(reply)}")


def _ended(reply: Reply) -> str:
    """Say what ended with the old password; a registry before this version does not tell."""
    if not reply.body:
        return ""
    ended = reply.document
    access, sessions, refresh = ended["access_tokens"], ended["sessions"], ended["refresh_tokens"]
    return f" Deleted: {access} access tokens, {sessions} sessions, {refresh} refresh tokens."


def set_administrator(
    user: _UserArgument,
    /,
    *,
    revoke: _RevokeOption = False,
    yes: YesOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Make a user an operations administrator, who may everything everywhere."""
    if revoke:
        require_consent(f"Take operations-admin from {user}?", yes=yes)
    with open_api(target) as api:
        number = find_person(api, user)["user_id"]
        api.call("PUT", f"/users/{segment(number)}/sysadmin", {"sysadmin_flag": not revoke})
    say(f"{user} is {'no longer' if revoke else 'now'} an administrator.")


def unlock_user(user: _UserArgument, /, *, target: TargetOption = ANYWHERE) -> None:
    """Let a user who was locked out after wrong passwords try again."""
    with open_api(target) as api:
        reply = api.call("POST", f"/users/{segment(find_person(api, user)['user_id'])}/unlock")
    say(_unlocked(user, reply))


def _unlocked(user: str, reply: Reply) -> str:
    """Say what there was to unlock; a registry before this version does not tell."""
    if not reply.body:
        return f"Unlocked {user}."
    addresses = reply.document["addresses"]
    if not addresses:
        return f"{user} was not locked out: no wrong passwords are counted."
    places = "1 address" if addresses == 1 else f"{addresses} addresses"
    return f"Unlocked {user}; wrong passwords had come from {places}."


def disable_user(user: _UserArgument, /, *, target: TargetOption = ANYWHERE) -> None:
    """Keep a user out without deleting them."""
    reply = _set_disabled(user, target, disabled=True)
    say(f"Disabled {user}.{_stopped(reply)}")


def enable_user(user: _UserArgument, /, *, target: TargetOption = ANYWHERE) -> None:
    """Let a disabled user in again."""
    _set_disabled(user, target, disabled=False)
    say(f"Enabled {user}.")


def _set_disabled(user: str, target: TargetOption, *, disabled: bool) -> Reply:
    with open_api(target) as api:
        number = find_person(api, user)["user_id"]
        return api.call("PUT", f"/users/{segment(number)}/disabled", {"disabled": disabled})


def _stopped(reply: Reply) -> str:
    """Say how many robots stop with a person; a registry before this version does not tell."""
    robots = reply.document["robots"] if reply.body else 0
    if not robots:
        return ""
    which = "1 robot stops" if robots == 1 else f"{robots} robots stop"
    return f" {which}, until a colleague takes over: entrepot robot rotate."

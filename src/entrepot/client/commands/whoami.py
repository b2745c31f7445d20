"""``entrepot whoami``: as whom commands act, and where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from entrepot.client.choosing import chosen_login, login_file, open_with
from entrepot.client.options import ANYWHERE, OutputOption, TargetOption
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import show_item

if TYPE_CHECKING:
    from entrepot.client.connection import Api
    from entrepot.client.listing import Item

__all__ = ["whoami"]


def whoami(*, target: TargetOption = ANYWHERE, output: OutputOption = "table") -> None:
    """Show as whom commands act, as the registry knows them."""
    login = chosen_login(target, os.environ, login_file())
    with open_with(login, target) as api:
        person = _person(api)
    item: Item = {
        "username": person.get("username", login.user),
        "server": login.url,
        "login": login.kind,
        "login_expires_at": login.expires_at or None,
        "sysadmin_flag": person.get("sysadmin_flag"),
        "admin_role_in_auth": person.get("admin_role_in_auth"),
        "email": person.get("email"),
        "realname": person.get("realname"),
    }
    columns = (
        ("NAME", "username"),
        ("SERVER", "server"),
        ("LOGIN", "login"),
        ("LOGIN ENDS", "login_expires_at"),
        ("ADMINISTRATOR", "sysadmin_flag"),
        ("BY A GROUP", "admin_role_in_auth"),
        ("EMAIL", "email"),
        ("REAL NAME", "realname"),
    )
    show_item(item, columns, output)


def _person(api: Api) -> Item:
    """Return the account; nothing for a robot or a token with limits, which are known and have none to show."""
    try:
        person: Item = api.get("/users/current").document
    except RefusedError as error:
        if error.status in {403, 404} and error.messages:
            return {}
        raise
    return person

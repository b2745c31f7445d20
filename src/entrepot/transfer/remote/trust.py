"""Where credentials may go: to the registry itself, and to a token server that plainly belongs to it (S29).

A registry names the server that hands out tokens (`realm`), and a registry that was taken over may name any. So the
realm must have the registry's host, or share its registrable domain, and must not be reached with less protection.
The public suffix list that would tell registrable domains exactly is not carried along: a short second level below a
country's domain (`co.uk`, `com.cn`) is taken for a suffix, and everything else needs the operator's word.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from yarl import URL

__all__ = ["is_same_origin", "may_receive_credentials", "registrable_domain"]

_COUNTRY_CHARACTERS: Final = 2
_LONGEST_SUFFIX_LABEL: Final = 3
_HOSTING: Final = frozenset(
    {
        "amazonaws.com",
        "azurewebsites.net",
        "cloudfront.net",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "run.app",
    }
)
"""Domains below which everybody can have a host."""


def is_same_origin(one: URL, other: URL) -> bool:
    """Whether two addresses are the same server: scheme, host and port."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def may_receive_credentials(registry: URL, realm: URL, allowed_hosts: Collection[str]) -> bool:
    """Whether the credentials for `registry` may be sent to `realm`."""
    if realm.scheme not in {"http", "https"} or realm.host is None or realm.user is not None:
        return False
    if registry.scheme == "https" and realm.scheme != "https":
        return False
    if realm.host == registry.host or realm.host in allowed_hosts:
        return True
    domain = registrable_domain(realm.host)
    return domain is not None and domain == registrable_domain(registry.host or "")


def registrable_domain(host: str) -> str | None:
    """Return the domain that one party registered, `None` where that can't be told: addresses and single labels."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    labels = host.rstrip(".").lower().split(".")
    if len(labels) < 2:
        return None
    count = 2
    if len(labels[-1]) == _COUNTRY_CHARACTERS and len(labels[-2]) <= _LONGEST_SUFFIX_LABEL:
        count = 3
    domain = ".".join(labels[-count:])
    return None if len(labels) < count or domain in _HOSTING else domain

"""The rules on the shape of a text and on several settings at once, checked before anything starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from entrepot.settings.derived import OPS_PORT_OFFSET, http_listen, ops_listen
from entrepot.settings.listen import parse_listen
from entrepot.settings.networks import parse_networks
from entrepot.settings.store_address import parse_store_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from entrepot.settings.tree import Settings

__all__ = ["find_problems"]

_PATH_KEYS = ("data.directory", "tls.certificate", "tls.key", "storage.root", "passwords.dictionary_file")
_LISTEN_KEYS = ("http.listen", "ops.listen")
_MAX_PORT = 65535
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]]*)(?::[0-9]{1,5})?")
"""One of the hosts of a database address, of which there may be several; all of it may be absent."""


def find_problems(settings: Settings, texts: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return (key, sentence) for every rule broken. ``texts`` are the values by dotted key."""
    return (
        *_check_each(texts, _PATH_KEYS, _check_path),
        *_check_each(texts, _LISTEN_KEYS, parse_listen),
        *_check_each(texts, ("http.external_url",), _check_external_url),
        *_check_each(texts, ("http.trusted_proxies",), parse_networks),
        *_check_each(texts, ("storage.s3.endpoint", "backup.s3.endpoint"), _check_http_url),
        *_check_each(texts, ("verify.heal_from",), parse_store_address),
        *_check_metadata_url(settings),
        *_check_listeners(settings),
        *_check_tls(settings),
        *_check_access(settings),
        *_check_storage(settings),
        *_check_backup(settings),
    )


def _check_each(
    texts: Mapping[str, object], keys: tuple[str, ...], check: Callable[[str], object]
) -> Iterator[tuple[str, str]]:
    for key in keys:
        text = str(texts[key])
        if text == "" and key != "http.listen":
            continue
        try:
            check(text)
        except ValueError as error:
            yield key, str(error)


def _check_path(text: str) -> None:
    if not Path(text).is_absolute():
        message = f"{text!r} is not an absolute path; it would depend on the directory of whoever starts this"
        raise ValueError(message)


def _check_http_url(text: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{text!r} is not an http:// or https:// address"
        raise ValueError(message)
    if parts.username is not None or parts.password is not None:
        message = "an address must not hold a user name or a password"
        raise ValueError(message)
    _ = parts.port  # raises ValueError for a port that is none


def _check_external_url(text: str) -> None:
    _check_http_url(text)
    parts = urlsplit(text)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        message = (
            f"{text!r} has a path; clients look for /v2/ at a host's root, so give scheme, host and port only"
        )
        raise ValueError(message)


def _check_metadata_url(settings: Settings) -> Iterator[tuple[str, str]]:
    """Refuse what the database driver can't read: its own complaint would hold a part of the password (S27)."""
    url = settings.metadata.url.reveal()
    if url and not (url.startswith("postgresql://") and len(url) > len("postgresql://")):
        yield "metadata.url", "must begin with postgresql:// (the value is not shown, it may hold a password)"
    elif url and not _is_database_address(url):
        sentence = (
            "can't be read as postgresql://user:password@host:port/database (the value is not shown, it may hold a "
            "password); write / ? # @ [ ] within a user name or a password as %2F %3F %23 %40 %5B %5D"
        )
        yield "metadata.url", sentence


def _is_database_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.query:
            parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    misplaced = "@" in user or parts.fragment or "@" in parts.path or parts.path.count("/") > 1
    return not misplaced and all(_HOST.fullmatch(host) for host in hosts.split(","))


def _check_listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    try:
        public = http_listen(settings)
        if not settings.ops.listen and public.port + OPS_PORT_OFFSET > _MAX_PORT:
            yield (
                "ops.listen",
                f"must be set, since the public port {public.port} plus {OPS_PORT_OFFSET} is no port",
            )
            return
        ops = ops_listen(settings)
    except ValueError:
        return  # said already, for the key itself
    shared = public.host == ops.host or public.is_wildcard or ops.is_wildcard
    if public.port == ops.port and shared:
        yield "ops.listen", f"{ops} is taken by http.listen ({public}); they need two ports"


def _check_tls(settings: Settings) -> Iterator[tuple[str, str]]:
    tls = settings.tls
    if tls.certificate and not tls.key:
        yield "tls.key", "must be set, since tls.certificate is"
    if tls.key and not tls.certificate:
        yield "tls.certificate", "must be set, since tls.key is"
    if tls.certificate and settings.http.external_url.startswith("http://"):
        yield "http.external_url", "begins with http:// while tls.certificate makes the listener speak https"


def _check_access(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.access.accounts and settings.access.insecure_anonymous:
        yield (
            "access.insecure_anonymous",
            "lets everybody in without a name, while access.accounts is true as well; set one of them to false",
        )


def _check_storage(settings: Settings) -> Iterator[tuple[str, str]]:
    s3 = settings.storage.s3
    if settings.storage.driver != "s3":
        if s3.bucket:
            yield (
                "storage.driver",
                "is filesystem although storage.s3.bucket is set; set it to s3 or remove the bucket",
            )
        return
    if not s3.bucket:
        yield "storage.s3.bucket", "must be set, since storage.driver is s3"
    if bool(s3.access_key) != bool(s3.secret_key):
        missing, given = ("access_key", "secret_key") if s3.secret_key else ("secret_key", "access_key")
        yield f"storage.s3.{missing}", f"must be set, since storage.s3.{given} is"
    if s3.prefix.startswith("/"):
        yield "storage.s3.prefix", f"{s3.prefix!r} begins with a slash; keys of an object store don't"
    if s3.prefix and not s3.prefix.endswith("/"):
        yield (
            "storage.s3.prefix",
            f"{s3.prefix!r} must end with a slash, or it would run into the names after it",
        )


def _check_backup(settings: Settings) -> Iterator[tuple[str, str]]:
    target, s3 = settings.backup.target, settings.backup.s3
    if target and not target.startswith(("s3://", "file:///", "/")):
        yield "backup.target", f"{target!r} is neither an absolute path, file:///path nor s3://bucket/prefix"
    if bool(s3.access_key) != bool(s3.secret_key):
        missing, given = ("access_key", "secret_key") if s3.secret_key else ("secret_key", "access_key")
        yield f"backup.s3.{missing}", f"must be set, since backup.s3.{given} is"

"""What `entrepot serve` tells a person: where things lie, what not to overlook, and the way to the first push."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from pathlib import Path
from shlex import quote
from shutil import which
from urllib.parse import urlsplit

from entrepot import __version__
from entrepot.settings import (
    Settings,
    first_password_file,
    http_listen,
    metadata_path,
    ops_listen,
    public_url,
    storage_root,
    uses_postgresql,
)

__all__ = ["render_greeting", "render_next_steps", "render_warnings"]


def render_greeting(settings: Settings) -> str:
    """Return where the data lies and where the registry listens."""
    database = "PostgreSQL" if uses_postgresql(settings) else str(metadata_path(settings))
    s3 = settings.storage.s3
    blobs = f"s3 bucket {s3.bucket}" if settings.storage.driver == "s3" else str(storage_root(settings))
    return "\n".join(
        (
            f"Entrepot {__version__}",
            f"  data      {settings.data.directory}",
            f"  metadata  {database}",
            f"  blobs     {blobs}",
            f"  clients   {public_url(settings)}",
            f"  health    http://{ops_listen(settings)}/readyz",
        )
    )


def render_next_steps(settings: Settings) -> str:
    """Return what leads to the first push; with accounts, after the start has made the first administrator. Blocks.

    The first password is not among it (S27), only the file that it lies in, if it does.
    """
    image = f"{urlsplit(public_url(settings)).netloc}/demo/hello-world"
    push = (f"  docker tag hello-world {image}", f"  docker push {image}", f"  docker pull {image}")
    heading = "The first push (docker pull hello-world, if you have it not):"
    if settings.access.accounts:
        return "\n".join((*_first_steps(settings), heading, *push))
    reach = "everybody" if settings.access.insecure_anonymous else "clients on this machine only"
    off = f"There are no accounts: {reach} may push and pull. access.accounts = true turns them on."
    return "\n".join((heading, *push, off))


def _first_steps(settings: Settings) -> tuple[str, ...]:
    program, file = _program(), first_password_file(settings)
    login = f"  {program} login {_address(settings)} -u admin"
    opening: tuple[str, ...] = ("Log in, and make a project to push to:", login)
    if _exists(file):
        opening = (
            f"The first administrator is admin, whose first password lies in {file}",
            "and opens nothing but its own change. Log in with it and choose a new one, of 8 characters or more, of",
            "three kinds (aA1+), without a common word, a row of keys or digits (qwer, 4321) or a repetition; then",
            "make a project to push to:",
            f"{login} --password-file {quote(str(file))}",
        )
    docker = f"  docker login {urlsplit(public_url(settings)).netloc} -u admin"
    return (*opening, f"  {program} project create demo", docker)


def _program() -> str:
    """Return how this program is called by a person who types into a shell."""
    name = "entrepot"
    return name if which(name) else quote(str(Path(sys.executable).with_name(name)))


def _address(settings: Settings) -> str:
    """Return the registry's address, and what else its client has to be told before it sends a password there."""
    url = urlsplit(public_url(settings))
    is_plain = url.scheme == "http" and not _is_loopback(url.hostname or "")
    return f"{url.geturl()} --plain-http" if is_plain else url.geturl()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return False  # the directory is another user's, and the start will say so


def render_warnings(settings: Settings) -> tuple[str, ...]:
    """Return what must not be overlooked, loud enough not to be."""
    if not settings.access.insecure_anonymous:
        return ()
    listen = http_listen(settings)
    reach = "everybody on this machine" if listen.is_loopback else f"everybody who can reach {listen}"
    return (
        "*" * 78,
        f"WARNING: access.insecure_anonymous is on: {reach}",
        "WARNING: can push, pull and overwrite images without a name or a password.",
        "WARNING: accounts are off: nobody logs in, and roles do not count.",
        "*" * 78,
    )

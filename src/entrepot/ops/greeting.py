"""What `entrepot serve` tells a person: where things lie, what not to overlook, and the way to the first push."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING
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

if TYPE_CHECKING:
    from pathlib import Path

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
        return "\n".join((*_first_password(settings), *_first_project(settings), heading, *push))
    reach = "everybody" if settings.access.insecure_anonymous else "clients on this machine only"
    off = f"There are no accounts: {reach} may push and pull. access.accounts = true turns them on."
    return "\n".join((heading, *push, off))


def _first_password(settings: Settings) -> tuple[str, ...]:
    file = first_password_file(settings)
    if not _exists(file):
        return ()
    return (
        f"The first administrator is admin, whose first password lies in {file}",
        "and opens nothing but its own change. The new one has 8 characters or more, of three kinds (aA1+):",
        f'  read -rsp "New password: " new; first=$(cat {quote(str(file))})',
        """  printf '{"old_password": "%s", "new_password": "%s"}' "$first" "$new" |""",
        f"""    curl -u "admin:$first" -X PUT {public_url(settings)}/api/v2.0/users/1/password \\""",
        "      -H 'Content-Type: application/json' -d @-",
    )


def _first_project(settings: Settings) -> tuple[str, ...]:
    url = public_url(settings)
    return (
        "Log in, and make a project to push to:",
        f"  docker login {urlsplit(url).netloc} -u admin",
        f"  curl -u admin {url}/api/v2.0/projects -H 'Content-Type: application/json' \\",
        """    -d '{"project_name": "demo"}'""",
    )


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

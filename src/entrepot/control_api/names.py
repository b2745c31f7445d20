"""What paths name, and how Harbor's clients write it there."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, unquote_plus

from entrepot.oci.names import RepositoryName

__all__ = [
    "format_time",
    "location",
    "project_reference",
    "repository_location",
    "repository_of",
    "repository_within",
]

_MAX_ID_DIGITS = 18


def project_reference(text: str, is_resource_name: str) -> str | int:
    """Return the name or the number of a project.

    Digits are a number, as it is written in one way only, unless the header `X-Is-Resource-Name` (here its value) says
    `true`; all else is a name, so that `018` is what is called so and not the project of number 18.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS and str(int(text)) == text
    return int(text) if is_number and is_resource_name.strip().lower() != "true" else text


def repository_within(text: str) -> str:
    """Return the name within its project that a path gives of a repository: decoded once by the server, now again."""
    return unquote_plus(text)


def repository_location(collection: str, name: str) -> str:
    """Return the address of a repository by its name within its project, encoded as clients have to encode it."""
    return f"{collection.rstrip('/')}/{quote(quote(name, safe=''), safe='')}"


def repository_of(project: str, text: str) -> RepositoryName:
    """Return the repository that a path names by its project and its name within that.

    The name was encoded twice by the client, since it may hold slashes, and the server has decoded it once. Below
    `library`, `_/app` is the repository `app`; no name means one of two.

    Raises:
        InvalidRepositoryNameError: no repository can be called so.
    """
    return RepositoryName.within(project, repository_within(text))


def location(collection: str, number: int, name: str = "", name_is_wanted: str = "") -> str:
    """Return the address of what was created: by its number, or by `name` if the client asked for that.

    Args:
        name_is_wanted: the value of the header `X-Resource-Name-In-Location`.
    """
    by_name = bool(name) and name_is_wanted.strip().lower() == "true"
    return f"{collection.rstrip('/')}/{quote(name, safe='') if by_name else number}"


def format_time(milliseconds: int) -> str:
    """Return a time of the database as RFC 3339 text in UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

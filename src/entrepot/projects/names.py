"""The rule for names of projects: Harbor's, and what can stand in front of a repository's name."""

from __future__ import annotations

import re
from typing import Final

from entrepot.kernel.secret_forms import without_secrets
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName
from entrepot.projects.errors import ProjectNameInvalidError

__all__ = ["NO_PROJECT", "require_project_name"]

NO_PROJECT: Final = 0
"""The number of none. It is looked for where a thing is missing, so that no time tells that it is (S19)."""

_PATTERN: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*\Z", re.ASCII)
_SHORTEST_REPOSITORY: Final = "/a"


def require_project_name(text: str) -> str:
    """Return a text that can name a project.

    Raises:
        ProjectNameInvalidError: it can't.
    """
    if _PATTERN.match(text) is None:
        raise ProjectNameInvalidError(text)
    try:
        RepositoryName.parse(text + _SHORTEST_REPOSITORY)
    except InvalidRepositoryNameError as error:
        raise ProjectNameInvalidError(text) from error
    if without_secrets(text) is not text:  # records would tell another name
        raise ProjectNameInvalidError(text)
    return text

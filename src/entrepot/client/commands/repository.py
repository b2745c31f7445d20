"""``entrepot repository …``."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import twice_encoded
from entrepot.client.errors import EXIT_USAGE, ClientError
from entrepot.client.listing import list_items
from entrepot.client.lookup import project_path
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_items

__all__ = ["create_repository", "delete_repository", "list_repositories"]

_ProjectArgument = Annotated[str, Parameter(help="Name of a project; else those of all projects.")]
_RepositoryArgument = Annotated[
    str,
    Parameter(
        help="The whole name, as it is listed and pulled: team/app; app alone lies in project library."
    ),
]

_PROJECT_OF_SHORT_NAMES: Final = "library"

_COLUMNS: Columns = (
    ("NAME", "name"),
    ("ARTIFACTS", "artifact_count"),
    ("CHANGED", "update_time"),
)


def list_repositories(
    project: _ProjectArgument = "",
    /,
    *,
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the repositories of a project, or of all projects that you can see."""
    path = f"{project_path(project)}/repositories" if project else "/repositories"
    with open_api(target) as api:
        items = list_items(api, path, None, limit)
    show_items(items, _COLUMNS, output)


def create_repository(repository: _RepositoryArgument, /, *, target: TargetOption = ANYWHERE) -> None:
    """Create an empty repository, for those who may push but not create."""
    project, name = _parts(repository)
    with open_api(target) as api:
        api.call("POST", f"{project_path(project)}/repositories", {"name": name})
    say(f"Created repository {_told(repository)}.")


def delete_repository(
    repository: _RepositoryArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE
) -> None:
    """Delete a repository with everything in it."""
    project, name = _parts(repository)
    require_consent(f"Delete repository {_told(repository)} with everything in it?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", f"{project_path(project)}/repositories/{twice_encoded(name)}")
    say(f"Deleted repository {_told(repository)}.")


def _parts(repository: str) -> tuple[str, str]:
    """Return the project of a repository and what addresses call it there: `_/app` if `app` is its whole name.

    Raises:
        ClientError: one of both is empty.
    """
    project, slash, name = repository.partition("/")
    if project and not slash:
        return _PROJECT_OF_SHORT_NAMES, f"_/{repository}"
    if not (project and name):
        raise ClientError(
            EXIT_USAGE, f"entrepot: {repository!r} names no repository: write it as PROJECT/NAME"
        )
    return project, name


def _told(repository: str) -> str:
    """Return the name; of one segment with its project, since who forgot to write one should see it."""
    return repository if "/" in repository else f"{repository} of project {_PROJECT_OF_SHORT_NAMES}"

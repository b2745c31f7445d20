"""A part of a name finds the same on both engines, in whichever case the name and the part are written (S25)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.group_store import GroupQuery
from entrepot.metadata.label_store import LabelQuery, LabelText
from entrepot.metadata.project_repository_store import RepositoryQuery
from entrepot.metadata.project_store import ProjectQuery, Viewer
from entrepot.metadata.robot_store import RobotQuery
from entrepot.metadata.user_store import PersonQuery
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


@pytest.mark.parametrize("part", ["zo", "ZO", "oE"])
async def test_parts_of_names_are_found_in_whichever_case_s25(
    metadata: Metadata, database: RawDatabase, part: str
) -> None:
    """People, groups and labels have names of either case, all others of lower case only."""
    rows, all_there = IdentityRows(database), Viewer(everything=True)
    project = await rows.project("zoe")
    await rows.give(await rows.user("Zoe"), "guest", project)
    await rows.group("ZOES")
    await rows.robot("zoe-ci", [], project=project)
    await metadata.write(lambda tx: tx.repositories.ensure("zoe/app", "zoe", "x"))
    await metadata.write(lambda tx: tx.labels.insert(None, LabelText("Zoe's")))
    await metadata.write(lambda tx: tx.labels.insert(project, LabelText("Zoe's")))

    people = await metadata.users.list_page(PersonQuery(name_part=part))
    groups = await metadata.user_groups.list_page(GroupQuery(name_part=part))
    members = await metadata.members.list_page(project, part, 10, 0)
    labels = [await metadata.labels.list_page(place, LabelQuery(name_part=part)) for place in (None, project)]
    projects = await metadata.projects.list_page(all_there, ProjectQuery(10, name_part=part))
    repositories = await metadata.project_repositories.list_page(
        all_there, RepositoryQuery(10, name_part=part)
    )
    robots = await metadata.robots.list_page(RobotQuery(project, 10, name=part, match="part"))

    assert [person.name for person in people.people] == ["Zoe"]
    assert [group.name for group in groups.groups] == ["ZOES"]
    assert [member.subject.name for member in members.members] == ["Zoe"]
    assert [(page.labels[0].text.name, page.total) for page in labels] == [("Zoe's", 1)] * 2
    assert [one.name for one in projects.projects] == ["zoe"]
    assert [one.name for one in repositories.repositories] == ["zoe/app"]
    assert [robot.short_name for robot in robots] == ["zoe-ci"]

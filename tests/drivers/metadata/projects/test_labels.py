"""Labels on both engines: of a project and of the registry, which never meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.project_actions import CreateLabel, DeleteLabel, ListLabel, ReadLabel, UpdateLabel
from entrepot.auth.system_actions import (
    CreateSystemLabel,
    DeleteSystemLabel,
    ListSystemLabel,
    ReadSystemLabel,
    UpdateSystemLabel,
)
from entrepot.metadata.label_store import LabelQuery, LabelText
from entrepot.projects.errors import LabelExistsError, LabelInvalidError, LabelUnknownError

if TYPE_CHECKING:
    from tests.drivers.metadata.projects.world import World

_RED: Final = LabelText("red", "stop", "#FF0000")
_BLUE: Final = LabelText("blue")


async def test_labels_of_a_project_are_made_changed_and_removed(world: World) -> None:
    project = await world.add_project("team")

    number = await world.labels.create(world.on(project, CreateLabel), _RED)
    assert await world.labels.project_of(number) == project
    assert (await world.labels.get(world.on(project, ReadLabel), number)).text == _RED
    await world.labels.update(world.on(project, UpdateLabel), number, _BLUE)
    page = await world.labels.list_page(world.on(project, ListLabel), LabelQuery())
    assert ([label.text for label in page.labels], page.total) == ([_BLUE], 1)
    await world.labels.delete(world.on(project, DeleteLabel), number)

    with pytest.raises(LabelUnknownError):
        await world.labels.project_of(number)
    blue = {"name": "blue", "description": "", "color": ""}
    red = {"name": "red", "description": "stop", "color": "#FF0000"}
    assert await world.changes("label.create") == [{"before": None, "after": red}]
    assert await world.changes("label.update") == [{"before": red, "after": blue}]
    assert await world.changes("label.delete") == [{"before": blue, "after": None}]


async def test_a_name_is_there_once_in_each_place(world: World) -> None:
    project, other = await world.add_project("team"), await world.add_project("other")
    for create in (
        world.on(project, CreateLabel),
        world.on(other, CreateLabel),
        world.on_system(CreateSystemLabel),
    ):
        await world.labels.create(create, _RED)
        with pytest.raises(LabelExistsError):
            await world.labels.create(create, _RED)
    blue = await world.labels.create(world.on_system(CreateSystemLabel), _BLUE)

    with pytest.raises(LabelExistsError):
        await world.labels.update(world.on_system(UpdateSystemLabel), blue, _RED)
    await world.labels.update(world.on_system(UpdateSystemLabel), blue, LabelText("blue", "again"))

    page = await world.labels.list_page(world.on_system(ListSystemLabel), LabelQuery(limit=1, offset=1))
    assert ([label.text.name for label in page.labels], page.total) == (["red"], 2)
    part = await world.labels.list_page(world.on_system(ListSystemLabel), LabelQuery(name_part="lu"))
    assert ([label.text.name for label in part.labels], part.total) == (["blue"], 1)


async def test_a_label_from_elsewhere_is_unknown_here_s7(world: World) -> None:
    project, other = await world.add_project("team"), await world.add_project("other")
    theirs = await world.labels.create(world.on(other, CreateLabel), _RED)
    everybodys = await world.labels.create(world.on_system(CreateSystemLabel), _RED)

    for number in (theirs, everybodys):
        with pytest.raises(LabelUnknownError):
            await world.labels.get(world.on(project, ReadLabel), number)
        with pytest.raises(LabelUnknownError):
            await world.labels.update(world.on(project, UpdateLabel), number, _BLUE)
        with pytest.raises(LabelUnknownError):
            await world.labels.delete(world.on(project, DeleteLabel), number)
    with pytest.raises(LabelUnknownError):
        await world.labels.get(world.on_system(ReadSystemLabel), theirs)
    with pytest.raises(LabelUnknownError):
        await world.labels.delete(world.on_system(DeleteSystemLabel), theirs)

    assert await world.database.value("SELECT count(*) FROM labels") == 2


_REFUSED: Final = (
    LabelText(""),
    LabelText("  "),
    LabelText("x" * 129),
    LabelText("a\nb"),
    LabelText("x", "y" * 1025),
    LabelText("x", color="red"),
    LabelText("x", color="#12345"),
)


async def test_what_is_no_label_is_refused(world: World) -> None:
    for text in _REFUSED:
        with pytest.raises(LabelInvalidError):
            await world.labels.create(world.on_system(CreateSystemLabel), text)

    assert await world.database.value("SELECT count(*) FROM labels") == 0

"""The table of `entrepot audit list`: who did it, to which image, and why it was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi


@pytest.fixture(autouse=True)
def _registry(client: Client, api: ScriptedApi) -> None:
    """A registry to which somebody is logged in."""
    client.log_in(api)


def test_acts_tell_the_hosts_users_from_people_and_why_something_was_refused(
    client: Client, api: ScriptedApi
) -> None:
    act = {"op_time": "", "username": "root", "resource": "eve", "resource_type": "user"}
    refused = {
        "user.id": "anonymous",
        "event.reason": "locked out",
        "entrepot.repeats": 12,
        "entrepot.repeats_from": "several addresses",
        "source.ip": "192.0.2.7",
    }
    api.on(
        "GET /audit-logs",
        [
            {"id": 2, "operation": "user.unlock", "outcome": "success", **act}
            | {"fields": {"user.id": "host:root", "entrepot.user.kind": "host"}},
            {"id": 1, "operation": "session.login", "outcome": "failure", **act, "fields": refused},
        ],
    )

    result = client.run("audit", "list")

    assert [line.split() for line in result.out.splitlines()] == [
        ["ID", "TIME", "USER", "ADDRESS", "ACTION", "RESOURCE", "IMAGE", "KIND", "OUTCOME", "REASON"],
        ["2", "host:root", "user.unlock", "eve", "user", "success"],
        [
            "1",
            "root",
            "192.0.2.7",
            "session.login",
            "eve",
            "user",
            "failure",
            "locked",
            "out",
            "(12",
            "times,",
            "several",
            "addresses)",
        ],
    ]


def test_acts_on_images_tell_their_tags_and_digests(client: Client, api: ScriptedApi) -> None:
    pushed = {
        "user.id": "7511c930",
        "container.image.tag": ["v3", "latest"],
        "container.image.hash.all": [f"sha256:dcf333b5b7c2{52 * '0'}"],
    }
    act = {"id": 1, "op_time": "", "username": "ci", "resource": "team/app", "resource_type": "repository"}
    api.on("GET /audit-logs", [{**act, "operation": "manifest.push", "outcome": "success", "fields": pushed}])

    line = client.run("audit", "list").out.splitlines()[1]

    assert "team/app  v3,latest sha256:dcf333b5b7c2  repository" in line


def test_who_acted_is_told_apart_from_whoever_is_called_the_same(client: Client, api: ScriptedApi) -> None:
    """The registry from a person of that name, and by id where a record has no name."""
    fields = {
        "registry": {"user.id": "registry", "entrepot.user.kind": "host"},
        "": {"user.id": "user:7", "entrepot.user.kind": "user"},
    }
    act = {
        "op_time": "",
        "resource": "",
        "resource_type": "",
        "operation": "key.rotate",
        "outcome": "success",
    }
    acts = [{"id": 1, "username": name, "fields": facts, **act} for name, facts in fields.items()]
    person = {"id": 1, "username": "registry", "fields": {"user.id": "user:8", "entrepot.user.kind": "user"}}
    api.on("GET /audit-logs", [*acts, {**person, **act}])

    rows = client.run("audit", "list").out.splitlines()[1:]

    assert [row.split()[1] for row in rows] == ["(registry)", "user:7", "registry"]

"""Who is refused although what they presented is right: the record names them, at each of the three entrances (I11)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.audit.ecs import ecs_fields
from entrepot.audit.frames import read_frames
from entrepot.audit.segments import segment_paths
from entrepot.settings import audit_directory, metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asgi.client import AsgiReply

_ADMINISTRATOR: Final = ("admin", "Brisk-Lantern-77")
_FIRST: Final = "Vexing-Otter-41"
_GIVEN: Final = "Copper-Meadow-31"
_MANIFEST: Final = "/v2/team/app/manifests/latest"
_LONG_AGO: Final = "UPDATE users SET password_changed_at = 1 WHERE email = 'dev@example.org'"


@dataclass(frozen=True)
class _Office:
    """A registry with a developer, `dev`, of the project `team`."""

    registry: InProcessRegistry
    database: RawDatabase
    number: int
    subject: str
    token: str

    async def ask(self, method: str, target: str, who: tuple[str, str], body: object = None) -> AsgiReply:
        basic = base64.b64encode(":".join(who).encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        return await self.registry.client.request(method, target, headers, (content,))

    async def administer(self, method: str, path: str, body: object) -> AsgiReply:
        reply = await self.ask(method, f"/api/v2.0{path}", _ADMINISTRATOR, body)
        assert reply.status < 300, reply.body
        return reply

    async def make_due(self) -> None:
        """Give the developer another password, which has to be changed first."""
        await self.administer("PUT", f"/users/{self.number}/password", {"new_password": _GIVEN})

    def noted(self) -> list[dict[str, Any]]:
        """Return what was noted beside the units, with the number of the project that it concerns."""
        records = [
            record
            for path in segment_paths(audit_directory(self.registry.settings) / "spool")
            for record in read_frames(path.read_bytes()).records
        ]
        return [
            ecs_fields(0, record.body, record.disclosure) | {"project": record.project_id}
            for record in records
        ]

    async def recorded(self) -> list[dict[str, Any]]:
        rows = await self.database.fetch(
            "SELECT body, disclosure FROM audit_records WHERE outcome = 'failure' ORDER BY id"
        )
        return [ecs_fields(0, body, disclosure) for body, disclosure in rows]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[_Office]:
    settings = scratch_settings(
        tmp_path / "data",
        access__accounts=True,
        admin__password=_ADMINISTRATOR[1],
        passwords__max_age_days="90",
    )
    database = RawDatabase(metadata_url(settings))
    async with in_process_registry(settings) as registry:
        blank = _Office(registry, database, 0, "", "")
        profile = {"username": "dev", "email": "dev@example.org", "realname": "dev", "password": _FIRST}
        made = await blank.administer("POST", "/users", profile)
        number = int(made.headers["location"].rpartition("/")[2])
        await blank.administer("POST", "/projects", {"project_name": "team"})
        member = {"role_id": 2, "member_user": {"username": "dev"}}
        await blank.administer("POST", "/projects/team/members", member)
        token = await blank.ask("POST", "/api/v2.0/access-tokens", ("dev", _FIRST), {"name": "laptop"})
        subject = await database.value("SELECT public_id FROM subjects WHERE name = 'dev'")
        yield _Office(registry, database, number, subject, json.loads(token.body)["secret"])


def _names(office: _Office, record: dict[str, Any]) -> tuple[str, str, bool]:
    """Return whom a record names, and whether that is the developer, by the id that never changes."""
    return record["user.name"], record["entrepot.user.kind"], record["user.id"] == office.subject


@pytest.mark.parametrize(
    ("target", "action"),
    [
        (_MANIFEST, "access.denied"),
        ("/v2/", "access.denied"),
        ("/service/token?service=entrepot&scope=repository:team/app:pull", "token.issue"),
        ("/api/v2.0/projects/team", "access.denied"),
    ],
)
async def test_i11_whose_password_has_to_be_changed_is_named_in_each_refusal(
    office: _Office, target: str, action: str
) -> None:
    """Each has its record, where whoever asks for this person finds it; refusals of the unknown are condensed."""
    await office.make_due()
    statuses = [(await office.ask("GET", target, ("dev", _GIVEN))).status for _ in range(6)]

    assert statuses == [403] * 6
    records = office.noted()
    assert [record["event.action"] for record in records] == [action] * 6
    assert [_names(office, record) for record in records] == [("dev", "user", True)] * 6


@pytest.mark.parametrize("target", [_MANIFEST, "/api/v2.0/projects/team"])
async def test_i11_an_access_token_of_an_old_password_is_named_with_its_person_and_the_project_is_told(
    office: _Office, target: str
) -> None:
    """Team leads find it among what concerns their project."""
    await office.database.fetch(_LONG_AGO)

    reply = await office.ask("GET", target, ("dev", office.token))

    assert reply.status == 403
    (record,) = office.noted()
    assert _names(office, record) == ("dev", "user", True)
    credential = await office.database.value("SELECT public_id FROM access_tokens WHERE name = 'laptop'")
    assert record["entrepot.credential"] == credential
    assert record["project"] == await office.database.value("SELECT id FROM projects WHERE name = 'team'")


@pytest.mark.parametrize("target", [_MANIFEST, "/service/token", "/api/v2.0/projects/team"])
async def test_i11_who_is_disabled_is_named_where_the_secret_was_right_only(
    office: _Office, target: str
) -> None:
    """A guess at the password of somebody disabled is of nobody, as each wrong one."""
    await office.administer("PUT", f"/users/{office.number}/disabled", {"disabled": True})

    right = await office.ask("GET", target, ("dev", _FIRST))
    wrong = await office.ask("GET", target, ("dev", "Not-the-1-password"))
    by_token = await office.ask("GET", target, ("dev", office.token))

    assert (right.status, wrong.status, by_token.status) == (401, 401, 401)
    assert (right.body, by_token.body) == (wrong.body, wrong.body)  # S19
    first, second = await office.recorded()
    assert (first["event.reason"], _names(office, first)) == ("disabled", ("dev", "user", True))
    assert (second["event.reason"], _names(office, second)) == ("wrong password", ("dev", "anonymous", False))
    assert _names(office, office.noted()[-1]) == ("dev", "user", True)

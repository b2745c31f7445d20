"""People of a registry, made by its administrator, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

    from tests.integration.control_api.conftest import Registry

__all__ = ["ADMIN", "PASSWORD", "Cast", "reason"]

ADMIN: Final = 1
PASSWORD: Final = "Bq7#mxLp-canary-1"


class Cast:
    """People of a registry, made by its administrator."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def person(self, name: str, *permissions: str) -> int:
        """Make a person with a custom role on the system; return their number."""
        number = await self.made("/users", {"username": name, "password": PASSWORD})
        if permissions:
            await self.made("/roles", {"name": name, "level": "system", "permissions": permissions})
            await self.made("/role-assignments", {"subject_id": number, "role": name})
        return number

    async def made(self, path: str, body: object) -> int:
        """Make something as the administrator; return its number."""
        async with self.registry.plain() as admin:
            reply = await admin.post(path, json=body)
        assert reply.status_code == 201, reply.text
        return int(reply.headers["location"].rpartition("/")[2])

    async def member(self, project: str, role_id: int, **whom: object) -> None:
        """Give a role in a project, which is made if need be."""
        async with self.registry.plain() as admin:
            await admin.post("/projects", json={"project_name": project})
            reply = await admin.post(f"/projects/{project}/members", json={"role_id": role_id, **whom})
        assert reply.status_code == 201, reply.text

    async def ask(self, name: str, method: str, path: str, body: object = None) -> httpx.Response:
        """Do something as a person."""
        async with self.registry.plain(name, PASSWORD) as client:
            return await client.request(method, path, json=body)


def reason(reply: httpx.Response) -> str:
    """Return why something was refused."""
    message: str = reply.json()["errors"][0]["message"]
    return message

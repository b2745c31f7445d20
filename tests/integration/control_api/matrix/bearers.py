"""How the data plane is asked with bearer tokens: each for exactly what the challenge says, as clients do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.asgi.identity import SERVICE
from tests.integration.control_api.matrix.asking import Asked, path_of

if TYPE_CHECKING:
    from tests.integration.control_api.matrix.expectations import Caller, Row
    from tests.integration.control_api.matrix.stage import Stage

__all__ = ["TOKEN_REFUSED", "Bearers"]

TOKEN_REFUSED: Final = 0
"""Stands for the answer when the token service gives no token."""

_NOTHING: Final = "repository:nowhere/app:pull"
_FIELD: Final = re.compile(r'(\w+)="([^"]*)"')


class Bearers:
    """Fetches tokens, each once, and asks with them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._tokens: dict[tuple[Caller, str, str], str] = {}

    async def ask(self, row: Row, caller: Caller, project: str) -> tuple[int, str]:
        """Ask one cell, and return its status and what the answer calls the fault."""
        asked = Asked(self._stage, caller, project)
        scope = await self._scope_of(row, asked)
        token = await self._token(caller, project, scope)
        if not token:
            return TOKEN_REFUSED, ""
        status, challenge = await self._present(token, row, asked)
        assert challenge.get("scope", scope) == scope
        return status, challenge.get("error", "")

    async def _scope_of(self, row: Row, asked: Asked) -> str:
        """Return what a token that is good for nothing is told to be good for; nothing where any will do."""
        nothing = await self._token("anonymous", asked.project, _NOTHING)
        _, challenge = await self._present(nothing, row, asked)
        return challenge.get("scope", "")

    async def _token(self, caller: Caller, project: str, scope: str) -> str:
        """Return a token; empty when there is none for this caller."""
        key = (caller, project, scope)
        if key not in self._tokens:
            query = {"service": SERVICE} | ({"scope": scope} if scope else {})
            async with self._stage.client(caller, project) as client:
                reply = await client.get("/service/token", params=query)
            self._tokens[key] = reply.json()["token"] if reply.status_code == 200 else ""
        return self._tokens[key]

    async def _present(self, token: str, row: Row, asked: Asked) -> tuple[int, dict[str, str]]:
        async with self._stage.client_of("", "") as client:
            headers = {"Authorization": f"Bearer {token}"}
            reply = await client.request(row.method, path_of(row, asked), headers=headers)
        return reply.status_code, dict(_FIELD.findall(reply.headers.get("www-authenticate", "")))

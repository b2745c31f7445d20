"""Backup commands as an operator gives them, and everything a registry holds, to compare one with another."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from entrepot.ops.application import run_command_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.client import AsgiClient

__all__ = ["BackupCommands", "Finished", "everything_of"]


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended; `report` is its JSON, if it printed any."""

    code: int
    output: str
    errors: str

    @property
    def report(self) -> Any:
        """What it printed, decoded."""
        return json.loads(self.output)


@dataclass(frozen=True, slots=True)
class BackupCommands:
    """`entrepot backup …` for one registry (a data directory, perhaps a file of settings) and one target."""

    data: Path
    target: str
    config: Path | None = None
    more: tuple[str, ...] = field(default=())

    def run(self, command: str, *arguments: str, output: str = "json") -> Finished:
        """Run one in this process, on a loop of its own: not from within a running one."""
        place = "--to" if command == "create" else "--from"
        config = ("--config", str(self.config)) if self.config is not None else ()
        printed, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            place_and_data = (place, self.target, "--data", str(self.data))
            words = ("backup", command, *place_and_data, "-o", output, *config, *self.more, *arguments)
            code = run_command_line(words)
        return Finished(code, printed.getvalue(), errors.getvalue())


async def everything_of(client: AsgiClient) -> dict[str, bytes]:
    """Return the bytes behind every path that clients can pull: tags, manifests, blobs, and lists of them."""
    found: dict[str, bytes] = {}
    catalog = await _get(client, "/v2/_catalog?n=1000")
    for name in json.loads(catalog)["repositories"]:
        tags = await _get(client, f"/v2/{name}/tags/list?n=1000")
        found[f"{name}/tags"] = tags
        waiting: list[str] = list(json.loads(tags)["tags"] or ())
        seen: set[str] = set()
        while waiting:
            reference = waiting.pop()
            if reference in seen:
                continue
            seen.add(reference)
            body = await _get(client, f"/v2/{name}/manifests/{reference}")
            found[f"{name}/manifests/{reference}"] = body
            document = json.loads(body)
            waiting += [child["digest"] for child in document.get("manifests", ())]
            for blob in (*filter(None, (document.get("config"),)), *document.get("layers", ())):
                path = f"{name}/blobs/{blob['digest']}"
                found[path] = await _get(client, f"/v2/{path}")
    return found


async def _get(client: AsgiClient, path: str) -> bytes:
    reply = await client.request("GET", path)
    assert reply.status == 200, (path, reply)
    assert urlsplit(path).path
    return reply.body

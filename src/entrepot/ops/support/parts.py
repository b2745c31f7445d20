"""The parts of a support bundle: each gathers the facts of one kind, and may fail without the others."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Final, TypeAlias

from entrepot.kernel.errors import EntrepotError
from entrepot.ops.doctor import examine_host, examine_node
from entrepot.ops.show_settings import describe_settings
from entrepot.ops.support.directory_sizes import measure_parts
from entrepot.ops.support.host_facts import describe_filesystem, describe_host
from entrepot.ops.support.log_excerpt import last_journal_lines, last_lines
from entrepot.ops.support.process_facts import describe_process, registry_processes
from entrepot.ops.support.running_node import PATHS, ask_node
from entrepot.ops.version import collect_versions
from entrepot.settings import metadata_path, metadata_url, storage_root, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from entrepot.settings import LoadedSettings, Settings

__all__ = ["Members", "NoDatabaseYetError", "Part", "Wishes", "list_parts"]

Members: TypeAlias = dict[str, object]
"""By the member's name: a text, or a value to be written as JSON."""

_WALK_SECONDS: Final = 30.0


class NoDatabaseYetError(EntrepotError):
    """Nothing can be said of a database that the first start will make."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the bundle is made from. `loaded` is absent when the settings have the `problems`."""

    loaded: LoadedSettings | None
    problems: Sequence[str]
    log: Path | None
    journal: bool
    lines: int


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of facts; `collect` may raise anything."""

    name: str
    contents: str
    collect: Callable[[], Members]


def list_parts(wishes: Wishes) -> tuple[Part, ...]:
    """Return what to gather, cheap and certain things first."""
    loaded = wishes.loaded
    parts = [
        Part("versions", "Entrepot, Python and its packages", _collect_versions),
        Part("settings", "effective settings with origin, secrets masked", lambda: _collect_settings(wishes)),
        Part("host", "kernel, memory, limits", lambda: {"host.json": describe_host()}),
    ]
    if loaded is not None:
        settings = loaded.settings
        parts += [
            Part("file-systems", "mounts, space and inodes", lambda: _collect_filesystems(settings)),
            Part(
                "processes",
                "memory, descriptors and limits of a running registry",
                lambda: _collect_processes(settings),
            ),
            Part(
                "node", "health, readiness and metrics of a running registry", lambda: _collect_node(settings)
            ),
            Part("database", "version, size, options, rows per table", lambda: _collect_database(settings)),
            Part(
                "directories",
                "files and bytes of what lies in the data directory",
                lambda: _collect_sizes(settings),
            ),
        ]
    parts.append(Part("doctor", "findings of entrepot doctor", lambda: _collect_findings(loaded)))
    log = wishes.log
    if log is not None:
        parts.append(Part("log", f"last lines of {log}", lambda: {"log.log": last_lines(log, wishes.lines)}))
    if wishes.journal:
        parts.append(
            Part("journal", "last lines of the unit entrepot", lambda: _collect_journal(wishes.lines))
        )
    return tuple(parts)


def _collect_versions() -> Members:
    packages = sorted(f"{found.name}=={found.version}" for found in distributions())
    return {"versions.json": collect_versions(), "packages.txt": "".join(f"{line}\n" for line in packages)}


def _collect_settings(wishes: Wishes) -> Members:
    if wishes.loaded is None:
        return {"settings.json": {"problems": list(wishes.problems)}}
    return {"settings.json": describe_settings(wishes.loaded)}


def _collect_filesystems(settings: Settings) -> Members:
    places = {"data.directory": settings.data.directory}
    if settings.storage.driver == "filesystem":
        places["storage.root"] = storage_root(settings)
    return {"file-systems.json": {name: describe_filesystem(path) for name, path in places.items()}}


def _collect_processes(settings: Settings) -> Members:
    found = registry_processes(settings.data.directory)
    return {"processes.json": [describe_process(pid) for pid in found]}


def _collect_node(settings: Settings) -> Members:
    members: Members = {}
    for path in PATHS:
        status, body = ask_node(settings, path)
        ending = "txt" if path == "/metrics" else "json"
        members[f"node{path}.{ending}"] = body if status == 200 else f"status {status}\n{body}"
    return members


def _collect_database(settings: Settings) -> Members:
    from entrepot.metadata.sql.engine_facts import read_engine_facts  # noqa: PLC0415 - loads drivers; only when asked
    from entrepot.metadata.sql.migrate import schema_version  # noqa: PLC0415 - as above

    if not uses_postgresql(settings) and not metadata_path(settings).exists():
        raise NoDatabaseYetError(f"{metadata_path(settings)} does not exist yet")
    found, known = asyncio.run(schema_version(metadata_url(settings)))
    facts = asyncio.run(read_engine_facts(metadata_url(settings)))
    schema = {"found": found, "known": known}
    return {"database.json": {"schema": schema, **dataclasses.asdict(facts)}}


def _collect_sizes(settings: Settings) -> Members:
    places = {"data.directory": settings.data.directory}
    if settings.storage.driver == "filesystem":
        places["storage.root"] = storage_root(settings)
    sizes: dict[str, object] = {}
    for name, path in places.items():
        measured = measure_parts(path, _WALK_SECONDS / len(places))
        sizes[name] = {
            "path": str(path),
            "parts": {part: dataclasses.asdict(size) for part, size in measured.items()},
        }
    return {"directories.json": sizes}


def _collect_findings(loaded: LoadedSettings | None) -> Members:
    findings = [*examine_host(), *(examine_node(loaded) if loaded is not None else ())]
    return {"doctor.json": [dataclasses.asdict(finding) for finding in findings]}


def _collect_journal(lines: int) -> Members:
    return {"journal.log": last_journal_lines(lines)}

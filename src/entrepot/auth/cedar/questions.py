"""What the engine is asked: who, with which roles, about what. Plain values; they become Cedar's entities here."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from entrepot.auth.cedar.schema import NAMESPACE

__all__ = ["REGISTRY", "Asker", "Subject", "encode_entities", "uid"]

Asker = Literal["User", "Robot", "Anonymous"]
REGISTRY: Final = "registry"

_encoder: Final = msgspec.json.Encoder()


class Subject(msgspec.Struct, frozen=True, gc=False):
    """A principal as policies see it.

    Attributes:
        permissions: names of actions, `system:` before those on the system.
        project_roles: those held in the project that is asked about.
    """

    kind: Asker
    name: str
    permissions: frozenset[str] = frozenset()
    project_roles: frozenset[str] = frozenset()
    system_roles: frozenset[str] = frozenset()


def encode_entities(
    subject: Subject, project: str | None = None, repository: str | None = None, *, is_public: bool = False
) -> str:
    """Return the entities of a question as Cedar reads them; without a project it is about the registry."""
    attributes: dict[str, object] = (
        {} if subject.kind == "Anonymous" else {"permissions": sorted(subject.permissions)}
    )
    parents = [uid("ProjectRole", role) for role in sorted(subject.project_roles)]
    parents += [uid("SystemRole", role) for role in sorted(subject.system_roles)]
    entities: list[dict[str, Any]] = [_entity(uid(subject.kind, subject.name), attributes, parents)]
    if project is None:
        entities.append(_entity(uid("Registry", REGISTRY), {}, []))
    else:
        entities.append(_entity(uid("Project", project), {"name": project, "public": is_public}, []))
        if repository is not None:
            owner = uid("Project", project)
            entities.append(
                _entity(
                    uid("Repository", repository),
                    {"name": repository, "project": {"__entity": owner}},
                    [owner],
                )
            )
    return _encoder.encode(entities).decode()


def uid(kind: str, name: str) -> dict[str, str]:
    """Return the name of an entity; its form for programs, so that nothing in `name` can be read as syntax."""
    return {"type": f"{NAMESPACE}::{kind}", "id": name}


def _entity(
    name: dict[str, str], attributes: dict[str, object], parents: list[dict[str, str]]
) -> dict[str, object]:
    return {"uid": name, "attrs": attributes, "parents": parents}

"""What is left of a robot's permissions when a project is gone."""

from __future__ import annotations

import json

from entrepot.projects.robot_namespaces import without_project


def _stored(*entries: tuple[str, str, str]) -> bytes:
    return json.dumps(
        [{"kind": kind, "namespace": namespace, "access": [access]} for kind, namespace, access in entries]
    ).encode()


def test_a_project_that_is_gone_is_taken_out() -> None:
    permissions = _stored(("project", "team", "repository:pull"), ("project", "web", "repository:pull"))

    left = without_project(permissions, "team")

    assert left is not None
    assert json.loads(left) == json.loads(_stored(("project", "web", "repository:pull")))
    assert without_project(permissions, "tea") is None
    assert without_project(_stored(("project", "*", "repository:pull")), "team") is None

"""Each field of an audit record is described where auditors look for it, in both languages."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import msgspec
import pytest

from entrepot.audit.ecs import ecs_fields
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, repeated
from entrepot.auth.principals import CredentialLimits
from tests.docs.pages import load_page
from tests.running.audit_material import ALICE

_ROW = re.compile(r"^\| `([a-z_.@]+)` \| [^|]+ \|$", re.MULTILINE)


def _all_fields() -> list[str]:
    limited = msgspec.structs.replace(ALICE, limits=CredentialLimits("a token"))
    record = audit_record(
        limited,
        AuditAction.MANIFEST_PUSH,
        AuditObject("repository", "team/app", "team", "v1", "sha256:" + "a" * 64),
        status=409,
        outcome="failure",
        reason="because",
        before={"tags": {}},
        after={"tags": {"v1": "x"}},
    )
    last = repeated(record, 2, of_several=True)
    return sorted(ecs_fields(1, last.body, last.disclosure))


@pytest.mark.parametrize("page", ["docs/how-to/audit.md", "docs/how-to/audit.zh-CN.md"])
def test_the_table_has_each_field_once(page: str) -> None:
    text = load_page(page).text
    heading = "### What a record tells" if page.endswith("audit.md") else "### 记录的字段"
    section = text.partition(heading)[2].partition("\n### ")[0]

    assert sorted(_ROW.findall(section)) == _all_fields()


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("docs/how-to/audit.md", "### What it was done to"),
        ("docs/how-to/audit.zh-CN.md", "### 操作对象是什么"),
    ],
)
def test_each_action_has_its_object_once(page: str, heading: str) -> None:
    section = load_page(page).text.partition(heading)[2].partition("\n### ")[0]
    patterns = [
        pattern
        for line in section.splitlines()
        if line.startswith("| `")
        for pattern in re.findall(r"`([^`]+)`", line.split("|")[1])
    ]

    assert {action: sum(fnmatch(action, one) for one in patterns) for action in AuditAction} == dict.fromkeys(
        AuditAction, 1
    )
    assert [one for one in patterns if not any(fnmatch(action, one) for action in AuditAction)] == []

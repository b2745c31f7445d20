"""Each field of an audit record is described where auditors look for it, in both languages."""

from __future__ import annotations

import re

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

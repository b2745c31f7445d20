"""What is promised of harborapi is what the tests beside this one call."""

from __future__ import annotations

import ast
from pathlib import Path

from harborapi import HarborAsyncClient

from tests.blackbox.accounts.harborapi_scope import IN_SCOPE


def _called(file: Path) -> set[str]:
    """Return the methods that are called on anything named `harbor`."""
    return {
        node.func.attr
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "harbor"
    }


def test_each_call_in_scope_is_made_by_a_test_and_none_beside_it() -> None:
    files = sorted(Path(__file__).parent.glob("test_harborapi_*.py"))
    called = {name for file in files if file != Path(__file__) for name in _called(file)}

    assert called == IN_SCOPE


def test_the_scope_has_not_shrunk() -> None:
    """Raise the number with the list; nobody has a reason to lower it."""
    assert len(IN_SCOPE) >= 62
    assert {name for name in IN_SCOPE if not hasattr(HarborAsyncClient, name)} == set()

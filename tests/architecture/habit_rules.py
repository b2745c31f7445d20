"""House habits no ready-made linter states: broad excepts, compared secrets, built SQL, reasons, pure oci."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from typing import TYPE_CHECKING, Final

from tests.architecture.source_files import functions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.architecture.source_files import SourceFile

__all__ = [
    "BROAD_EXCEPTS",
    "BUILT_STATEMENTS",
    "check_broad_excepts",
    "check_built_sql",
    "check_docstring",
    "check_failure_records",
    "check_oci_imports",
    "check_reasons",
    "check_secret_comparisons",
]

BROAD_EXCEPTS: Final[dict[str, str]] = {
    "src/entrepot/control_api/application.py::ControlApplication._answer": (
        "supervises one request: the client is answered, the log is told"
    ),
    "src/entrepot/distribution_api/application.py::DistributionApplication._answer": (
        "supervises one request: the client is answered, the log is told"
    ),
    "src/entrepot/metadata/sql/sqlite_writer.py::SqliteWriter._run_unit": (
        "what a unit raises belongs to its caller, on another thread"
    ),
    "src/entrepot/metadata/sql/sqlite_writer.py::SqliteWriter._serve": (
        "supervises the thread that all later writes depend on"
    ),
    "src/entrepot/metadata/sql/units.py::WatchedUnit.__await__": "hands the unit what the event loop throws into it",
    "src/entrepot/ops/doctor.py::_guard_all": "a check that breaks is a finding and must not hide those after it",
    "src/entrepot/ops/support_bundle.py::_collect": "a part that breaks is named, and the bundle made without it",
    "src/entrepot/ops/verify/verify.py::verify": "its log goes nowhere, so nobody else would tell of a fault",
    "src/entrepot/http1/exchange.py::Exchange.run": (
        "whatever breaks the application, the connection must be told; the log tells the rest"
    ),
    "src/entrepot/processes/launch.py::launch": "the outermost frame of a child process",
    "src/entrepot/processes/ops_application.py::RememberedCheck._run": (
        "whatever breaks a probe, the answer is: not ready"
    ),
    "src/entrepot/token_service/application.py::TokenApplication._answer": (
        "supervises one request: the client is answered, the log is told"
    ),
    "src/entrepot/workers/worker.py::_repeat": "supervises one duty: the others go on",
    "src/entrepot/kernel/periodic.py::Periodic._repeat": "supervises work beside requests: nobody would notice its end",
}
"""`path::Class.function` of each supervisor that may catch everything, with the reason."""

_OUR_TABLES: Final = "the name of a table from our own list"
_OUR_INDEXES: Final = (
    "an index as the database's own catalogue tells of it, in a transaction that changes nothing"
)
BUILT_STATEMENTS: Final[dict[str, str]] = {
    "src/entrepot/metadata/sql/index_comparison.py::_check_order": "the schema of an extension, from the catalogue",
    "src/entrepot/metadata/sql/index_comparison.py::_compare_postgres": _OUR_INDEXES,
    "src/entrepot/metadata/sql/index_comparison.py::_count_by": _OUR_INDEXES,
    "src/entrepot/metadata/sql/engine_facts.py::_count": (
        "the name of a table, which SQLite itself has just told, in quotes"
    ),
    "src/entrepot/metadata/sql/postgres_load.py::_make_schema": _OUR_TABLES,
    "src/entrepot/metadata/sql/postgres_load.py::_require_empty": _OUR_TABLES,
    "src/entrepot/metadata/sql/postgres_load.py::_set_sequences": _OUR_TABLES,
    "src/entrepot/metadata/sql/postgres_load.py::reserve_postgres": _OUR_TABLES,
    "src/entrepot/metadata/sql/sqlite_load.py::_begin": _OUR_TABLES,
    "src/entrepot/metadata/sql/sqlite_load.py::_drop_tables": _OUR_TABLES,
    "src/entrepot/metadata/sql/sqlite_load.py::_require_empty": _OUR_TABLES,
}
"""`path::Class.function` where part of a statement can be no parameter (the name of a savepoint), with the reason."""

_BROAD: Final = frozenset({"Exception", "BaseException"})
_SECRET_WORDS: Final = frozenset(
    {
        "secret",
        "password",
        "passwd",
        "passphrase",
        "token",
        "hmac",
        "mac",
        "signature",
        "credential",
        "apikey",
    }
)
_DERIVED: Final = frozenset({"hash", "digest", "value", "bytes", "hex", "text", "key"})
_EXECUTING: Final = frozenset(
    {
        "execute",
        "executemany",
        "executescript",
        "execute_many",
        "execute_rows",
        "fetch",
        "fetchrow",
        "fetchval",
        "fetchmany",
        "prepare",
    }
)
_WAIVER: Final = re.compile(r"#\s*(?:type:\s*ignore|pyright:\s*ignore|noqa)")
_REASONED_WAIVER: Final = re.compile(
    r"#\s*(?:(?:type|pyright):\s*ignore\[[\w\s,-]+\]|noqa:\s*[A-Z]+\d+(?:[\s,]+[A-Z]+\d+)*)[\s#:-]+[A-Za-z\"'`]"
)


def check_docstring(file: SourceFile) -> list[str]:
    """Return a fault when a module doesn't say why it exists (an empty package of tests has nothing to say)."""
    is_empty_test_package = not file.text.strip() and not file.path.startswith("src/")
    if is_empty_test_package or ast.get_docstring(file.tree):
        return []
    return [f"{file.path}: no docstring at its top"]


def check_broad_excepts(file: SourceFile) -> list[str]:
    """Return each handler that swallows everything; one that ends by raising again only cleans up and is fine."""
    faults: list[str] = []
    for name, node in _nodes_with_owner(file):
        if isinstance(node, ast.ExceptHandler):
            broad = (node.type is None or _names_broad(node.type)) and not _raises_again(node)
        else:
            broad = _last_name(node.func) == "suppress" and any(_names_broad(part) for part in node.args)
        if broad and f"{file.path}::{name}" not in BROAD_EXCEPTS:
            faults.append(f"{file.path}:{node.lineno} ({name}): catches everything")
    return faults


def check_secret_comparisons(file: SourceFile) -> list[str]:
    """Return each == or != on something named like a secret, unless with a literal (S20: hmac.compare_digest)."""
    faults: list[str] = []
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Compare):
            continue
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
            if not isinstance(operator, ast.Eq | ast.NotEq):
                continue
            pair = (left, right)
            if any(_is_secret(side) for side in pair) and not any(
                isinstance(side, ast.Constant) for side in pair
            ):
                faults.append(
                    f"{file.path}:{node.lineno}: compares a secret with ==; use hmac.compare_digest (S20)"
                )
    return faults


def check_failure_records(file: SourceFile) -> list[str]:
    """Return each record of a failure that does not say with which status it is answered."""
    faults: list[str] = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "audit_record":
            given = {keyword.arg for keyword in node.keywords}
            if "outcome" in given and "status" not in given:
                faults.append(f"{file.path}:{node.lineno}: the record of a failure has no status")
    return faults


def check_built_sql(file: SourceFile) -> list[str]:
    """Return each statement handed to a database call that is put together from text at run time (S25)."""
    faults: list[str] = []
    for name, node in _nodes_with_owner(file):
        if isinstance(node, ast.ExceptHandler) or _last_name(node.func) not in _EXECUTING or not node.args:
            continue
        if _is_built_text(node.args[0]) and f"{file.path}::{name}" not in BUILT_STATEMENTS:
            faults.append(
                f"{file.path}:{node.lineno} ({name}): statement built from text; use parameters (S25)"
            )
    return faults


def check_reasons(file: SourceFile) -> list[str]:
    """Return each waiver of a check (noqa, type: ignore) that gives no code or no reason on its line."""
    tokens = tokenize.generate_tokens(io.StringIO(file.text).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    return [
        f"{file.path}:{comment.start[0]}: a waiver names its rule and gives its reason: {comment.string}"
        for comment in comments
        if _WAIVER.search(comment.string) and not _REASONED_WAIVER.search(comment.string)
    ]


def check_oci_imports(file: SourceFile) -> list[str]:
    """Return imports of `entrepot.oci` beyond the standard library, msgspec, the kernel and itself.

    typing_extensions counts as standard library while Python 3.11 is supported: it is only read by type checkers.
    """
    if not file.path.startswith("src/entrepot/oci/"):
        return []
    allowed = {*sys.stdlib_module_names, "msgspec", "typing_extensions"} - {
        "sqlite3",
        "socket",
        "http",
        "asyncio",
    }
    return [
        f"{file.path}:{line}: imports {module}"
        for module, line in _imports_of(file.tree)
        if module.split(".")[0] not in allowed and not module.startswith(("entrepot.oci", "entrepot.kernel"))
    ]


def _imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.lineno


def _nodes_with_owner(file: SourceFile) -> Iterator[tuple[str, ast.ExceptHandler | ast.Call]]:
    owners: dict[ast.AST, str] = {}
    for name, function in functions_of(file.tree):
        for node in ast.walk(function):
            owners[node] = name  # inner functions come later and win
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ExceptHandler | ast.Call):
            yield owners.get(node, "<module>"), node


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.id if isinstance(node, ast.Name) else ""


def _names_broad(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(_last_name(part) in _BROAD for part in parts)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_secret(node: ast.expr) -> bool:
    words = _last_name(node).lower().strip("_").split("_")
    while len(words) > 1 and words[-1] in _DERIVED:
        words.pop()
    return words[-1] in _SECRET_WORDS


def _is_built_text(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return True
    return isinstance(node, ast.Call) and _last_name(node.func) in {"format", "join", "replace"}

"""Reference parts drawn from the structure of the project: packages, database schema, decision records."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass, field
from typing import Final

from entrepot.metadata.sql.schema import load_migrations, render_migration
from tests.docs.pages import ROOT, load_page
from tests.docs.tables import render_table

__all__ = [
    "render_decisions",
    "render_long_tests",
    "render_packages",
    "render_schema_diagram",
    "render_schema_tables",
    "schema_tables",
]

_CREATE_TABLE: Final = re.compile(r"CREATE TABLE (\w+) \((.*?)\n\)", re.DOTALL)
_REFERENCE: Final = re.compile(r"REFERENCES (\w+)")


@dataclass(slots=True)
class _Column:
    name: str
    type: str
    primary_key: bool
    references: str
    nullable: bool


@dataclass(slots=True)
class _Table:
    name: str
    columns: list[_Column] = field(default_factory=list[_Column])


def schema_tables() -> list[_Table]:
    """Return the tables that the migrations make, in the order of their making."""
    tables: list[_Table] = []
    for migration in load_migrations():
        script = render_migration(migration.template, "postgresql")
        for name, body in _CREATE_TABLE.findall(re.sub(r"--.*", "", script)):
            tables.append(_read_table(name, body))
    return tables


def _read_table(name: str, body: str) -> _Table:
    table = _Table(name)
    keyed: set[str] = set()
    for line in body.splitlines():
        definition = line.strip().rstrip(",")
        found = re.match(r"PRIMARY KEY \(([^)]*)\)", definition)
        if found:
            keyed = {part.strip() for part in found[1].split(",")}
        elif re.match(r"[a-z_]+ (text|bigint|bytea)", definition):
            column, kind, *_ = definition.split()
            reference = _REFERENCE.search(definition)
            is_key = "PRIMARY KEY" in definition
            table.columns.append(
                _Column(
                    column,
                    kind,
                    is_key,
                    reference[1] if reference else "",
                    nullable="NOT NULL" not in definition and not is_key,
                )
            )
    for made in table.columns:
        made.primary_key = made.primary_key or made.name in keyed
    return table


def render_schema_diagram() -> str:
    """Return the tables and their references as a Mermaid diagram."""
    tables = schema_tables()
    lines = ["erDiagram"]
    for table in tables:
        lines += [
            f"    {column.references} ||--o{{ {table.name} : {column.name}"
            for column in table.columns
            if column.references
        ]
    for table in tables:
        lines.append(f"    {table.name} {{")
        for column in table.columns:
            marks = [
                mark
                for mark, is_set in (("PK", column.primary_key), ("FK", bool(column.references)))
                if is_set
            ]
            lines.append(f"        {column.type} {column.name} {', '.join(marks)}".rstrip())
        lines.append("    }")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def render_schema_tables() -> str:
    """Return each table with its columns; those that may be empty are marked."""
    rows = [
        (
            f"`{table.name}`",
            ", ".join(f"`{column.name}`" + ("?" if column.nullable else "") for column in table.columns),
        )
        for table in schema_tables()
    ]
    return render_table(("Table", "Columns (`?`: may be empty)"), rows)


def render_packages() -> str:
    """Return the packages from the top rank to the bottom, each with its own first sentence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    ranks: list[str] = next(contract["layers"] for contract in contracts if contract["id"] == "ranks")
    rows = [
        (str(position), f"`{name}`", purpose)
        for position, rank in enumerate(ranks, 1)
        for name in re.findall(r"\w+", rank)
        if (purpose := _purpose(name))
    ]
    return render_table(("Rank", "Package", "Purpose"), rows)


def _purpose(name: str) -> str:
    for candidate in (ROOT / f"src/entrepot/{name}/__init__.py", ROOT / f"src/entrepot/{name}.py"):
        if candidate.exists():
            docstring = ast.get_docstring(ast.parse(candidate.read_text(encoding="utf-8"))) or ""
            return " ".join(docstring.split("\n\n", maxsplit=1)[0].split())
    return ""


def render_decisions() -> str:
    """Return the list of decision records with their status."""
    rows: list[tuple[str, str]] = []
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        page = load_page(path.relative_to(ROOT).as_posix())
        status = re.search(r"^Status: (.+)$", page.text, re.MULTILINE)
        rows.append((f"[{page.headings()[0][1]}]({path.name})", status[1] if status else ""))
    return render_table(("Decision", "Status"), rows)


def render_long_tests() -> str:
    """Return every test that only `make test-long` runs, by the marks in the source, with the sentence it states."""
    rows: list[tuple[str, str]] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tests = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        ]
        whole_file = any(
            isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node) and _marks_long(node.value)
            for node in tree.body
        )
        place = path.relative_to(ROOT / "tests").as_posix()
        for test in tests:
            if whole_file or any(_marks_long(decorator) for decorator in test.decorator_list):
                name = test.name.removeprefix("test_").replace("_", " ")
                rows.append((f"`{place}`", name))
    return render_table(("File in `tests/`", "Test"), rows)


def _marks_long(node: ast.expr) -> bool:
    return "pytest.mark.long" in ast.unparse(node)

"""The source as parsed files, for rules that neither ruff nor the type checkers can state."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROOT", "SourceFile", "functions_of", "product_files", "project_files"]

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Python file: where it lies (relative to the project, with slashes), its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> SourceFile:
        """Parse `text` as the file at `path`."""
        return cls(path=path, text=text, tree=ast.parse(text, filename=path))


def _files_below(*folders: str) -> Iterator[SourceFile]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield SourceFile.parse(path.relative_to(ROOT).as_posix(), path.read_text())


@functools.cache
def product_files() -> list[SourceFile]:
    """Return every file of the product."""
    return list(_files_below("src/entrepot"))


@functools.cache
def project_files() -> list[SourceFile]:
    """Return every file that people maintain: product, tests, scripts and benchmarks."""
    return list(_files_below("src", "tests", "scripts", "bench"))


def functions_of(
    tree: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield each function with its dotted name inside the file (`Class.method`, `outer.inner`)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
            yield from functions_of(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions_of(node, f"{prefix}{node.name}.")
        else:
            yield from functions_of(node, prefix)

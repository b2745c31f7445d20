"""Facts read from the source itself, without running it: log events, outbox facts, failpoints, doc comments."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.architecture.source_files import SourceFile, product_files

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LogEvent", "OutboxKind", "attribute_docs", "failpoint_places", "log_events", "outbox_kinds"]

_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    # processes.keeper chooses between the two, by whether the end was expected
    "write": "info or error",
}
_EVENT: Final = re.compile(r"[a-z]+(?:[._][a-z]+)*\.[a-z]+(?:[._][a-z]+)*\Z")


@dataclass(slots=True)
class LogEvent:
    """One event name with every level, module and fact it is logged with."""

    name: str
    levels: set[str] = field(default_factory=set[str])
    modules: set[str] = field(default_factory=set[str])
    facts: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class OutboxKind:
    """A fact that units record."""

    name: str
    module: str
    journalled: bool


def log_events() -> dict[str, LogEvent]:
    """Return every event that product code logs, by name."""
    events: dict[str, LogEvent] = {}
    for file in product_files():
        for name, level, facts in _events_of(file):
            event = events.setdefault(name, LogEvent(name))
            event.levels.add(level)
            event.modules.add(_module(file))
            event.facts |= facts
    return dict(sorted(events.items()))


def _events_of(file: SourceFile) -> Iterator[tuple[str, str, set[str]]]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and node.args:
            name, level = _text(node.args[0]), _LEVELS.get(_called(node))
            if level is not None and name is not None and _EVENT.match(name):
                facts = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                yield name, level, facts - {"exc_info"}
        elif isinstance(node, ast.Dict):
            keys = [_text(key) for key in node.keys if key is not None]
            if "event" in keys:
                name = _text(node.values[keys.index("event")])
                level = "critical" if name != "library.message" else "as the library's"
                if name is not None:
                    yield name, level, {key for key in keys if key not in {None, "event", "exc_info"} and key}


def outbox_kinds() -> list[OutboxKind]:
    """Return every kind of fact that product code appends to the outbox."""
    kinds: list[OutboxKind] = []
    for file in product_files():
        constants = _constants(file.tree)
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if _called(node) == "OutboxFact" and not file.path.endswith("registry/journal/facts.py"):
                message = (
                    f"{file.path}:{node.lineno}: not in registry/journal/facts.py, where this looks for facts"
                )
                raise ValueError(message)
            if _called(node) not in {
                "journalled_fact",
                "journalled_project_fact",
                "journalled_registry_fact",
            }:
                continue
            kind = node.args[1]
            name = constants.get(kind.id) if isinstance(kind, ast.Name) else _text(kind)
            if name is None:
                message = f"{file.path}:{node.lineno}: the kind of this fact is neither text nor a constant"
                raise ValueError(message)
            kinds.append(OutboxKind(name, _module(file), journalled=True))
    return sorted(kinds, key=lambda kind: kind.name)


def failpoint_places() -> dict[str, list[str]]:
    """Return the modules that mention each member of `Failpoint`, the definition left out."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for file in product_files():
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute) and _called_name(node.value) == "Failpoint":
                places[node.attr].add(_module(file))
    return {name: sorted(modules) for name, modules in places.items()}


def attribute_docs(path: str, class_name: str) -> dict[str, str]:
    """Return the string that follows each attribute of a class, by the attribute's name."""
    file = next(file for file in product_files() if file.path == path)
    body = next(
        node.body
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ClassDef) and node.name == class_name
    )
    docs: dict[str, str] = {}
    for node, following in pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(following, ast.Expr):
            text = _text(following.value)
            if text is not None and isinstance(node.targets[0], ast.Name):
                docs[node.targets[0].id] = " ".join(text.split())
    return docs


def _module(file: SourceFile) -> str:
    return file.path.removeprefix("src/entrepot/").removesuffix(".py").replace("/", ".")


def _constants(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        target = node.target if isinstance(node, ast.AnnAssign) else target
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(target, ast.Name) and value is not None and (text := _text(value)) is not None:
            found[target.id] = text
    return found


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _called(call: ast.Call) -> str:
    return _called_name(call.func)


def _called_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

"""Renders the reference tables of settings, metrics and commands as Markdown, from what the program itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.observability.metric_definitions import METRIC_DEFINITIONS, MetricDefinition
from entrepot.ops.application import COMMANDS
from entrepot.settings import setting_documentation

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["render_commands_table", "render_metrics_table", "render_settings_table"]


def render_settings_table() -> str:
    """Return every setting with variable, default, meaning and the reason of the default."""
    rows = [
        (
            f"`{row.key}`",
            f"`{row.environment_variable}`",
            row.value_type,
            f"`{row.default}`" if row.default else "empty",
            row.description,
            row.reason,
            "yes" if row.reloadable else "no",
        )
        for row in setting_documentation()
    ]
    header = ("Key", "Variable", "Type", "Default", "Meaning", "Why this default", "Changes on SIGHUP")
    return _render_table(header, rows)


def render_metrics_table() -> str:
    """Return every metric with type, labels and meaning."""
    rows = [
        (
            f"`{metric.name}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            _describe(metric),
        )
        for metric in METRIC_DEFINITIONS
    ]
    return _render_table(("Metric", "Type", "Labels", "Meaning"), rows)


def render_commands_table() -> str:
    """Return every command with its one line of help."""
    rows = [(f"`entrepot {' '.join(command.words)}`", command.summary) for command in COMMANDS]
    return _render_table(("Command", "Purpose"), rows)


def _describe(metric: MetricDefinition) -> str:
    if not metric.buckets:
        return metric.help
    return f"{metric.help} Boundaries in seconds: {', '.join(f'{bucket:g}' for bucket in metric.buckets)}."


def _render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_render_row(header), _render_row(["---"] * len(header)), *(_render_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _render_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

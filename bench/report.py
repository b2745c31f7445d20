"""Writes what was measured: all samples as JSON, the table as Markdown, the ratios as a picture."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.picture import Bar, draw_bars
from bench.settling import BUSY_AFTERWARDS
from bench.statistics_of_rounds import Summary, median_ratio, subtract_floor, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.processes import ProcessMemory
    from bench.rounds import Row, Sample
    from bench.scale import Scale

__all__ = ["Report", "ratio_to", "render_markdown", "values_of", "write_report"]

_SERVERS: Final = ("entrepot", "docker-registry", "nginx")
_NONE: Final = "\N{EN DASH}"
_TO: Final = "\N{EN DASH}"
_QUIET_LOAD: Final = 0.5
_TIMES: Final = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `facts` in the order of printing; `memory` and `configurations` by server."""

    scale: Scale
    facts: dict[str, str]
    rows: list[Row]
    memory: dict[str, list[ProcessMemory]]
    configurations: dict[str, dict[str, str]]
    local_paths: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    """Directories of this machine and what is published in their place."""


def write_report(report: Report, directory: Path) -> None:
    """Write results.json, results.md and results.svg below `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    data = json.dumps(_as_data(report), indent=1) + "\n"
    (directory / "results.json").write_text(_without_paths(data, report))
    (directory / "results.md").write_text(_without_paths(render_markdown(report), report))
    bars = [
        Bar(row.measurement.title, advantage(row, "docker-registry"))
        for row in report.rows
        if row.measurement.limit is None and "docker-registry" in row.samples
    ]
    subtitle = f"{report.facts['processor']}, {report.facts['placement']}, {report.facts['date']}"
    title = "Entrepot beside docker-registry 2.8.3 (1 = as fast; longer is better)"
    (directory / "results.svg").write_text(draw_bars(title, subtitle, bars))


def _without_paths(text: str, report: Report) -> str:
    for path, published in report.local_paths.items():
        text = text.replace(path, published)
    return text


def values_of(row: Row, server: str) -> list[float]:
    """Return a server's rounds in the row's unit, the floor taken off where the samples carry one."""
    samples = row.samples[server]
    values = [sample.value for sample in samples]
    if "floor" in samples[0].facts:
        floors = [sample.facts["floor"] for of_server in row.samples.values() for sample in of_server]
        return subtract_floor(values, floors)
    return values


def ratio_to(row: Row, server: str) -> float | None:
    """Return Entrepot's figure in units of another server's, round by round; `None` if that one took no part."""
    if server not in row.samples:
        return None
    return median_ratio(values_of(row, row.measurement.subject), values_of(row, server))


def advantage(row: Row, server: str) -> float:
    """Return how many times better Entrepot is than another server, whichever way the unit goes."""
    ratio = median_ratio(values_of(row, "entrepot"), values_of(row, server))
    return ratio if row.measurement.more_is_better else 1 / ratio


def render_markdown(report: Report) -> str:
    """Return the page: what it stands on, the table, cost, memory, configurations."""
    parts = [
        "# Benchmark results",
        "",
        f"Written by `make bench` ({report.scale.name} scale). Medians of {report.scale.rounds} rounds",
        f"({report.scale.image_rounds} of images, {report.scale.brief_rounds} of large pulls and of large pushes",
        "one at a time),",
        "lowest and highest in brackets; the servers took turns in every round, and ratios are medians",
        "of the ratios of rounds taken one after the other.",
        "How it is measured, and what the figures do not say: [README.md](README.md).",
        "",
        *_doubts(report),
        *(f"- {name}: {value}" for name, value in report.facts.items()),
        "",
        "![Entrepot beside docker-registry](results.svg)",
        "",
        *_table(report),
        "",
        *_costs(report),
        "",
        *_memory(report),
        "",
        *_configurations(report),
    ]
    return "\n".join(parts) + "\n"


def _doubts(report: Report) -> list[str]:
    """Return a warning above figures that should not be relied on: a small run, or a machine that did other work."""
    reasons: list[str] = []
    if report.scale.name != "full":
        reasons.append(f"this was a {report.scale.name} run, with little data and few rounds")
    load = float(report.facts.get("load average at start", 0))
    if load > _QUIET_LOAD:
        reasons.append(f"the machine was busy with other work (load average {load:g} before the start)")
    return [f"**Not to be relied on:** {'; '.join(reasons)}.", ""] if reasons else []


def _table(report: Report) -> list[str]:
    lines = [
        "| what | Entrepot | docker-registry | nginx | ÷ docker-registry | ÷ nginx | bar | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in report.rows:
        figures = [_figure(row, server) for server in (row.measurement.subject, *_SERVERS[1:])]
        ratios = [_times(ratio_to(row, server)) for server in _SERVERS[1:]]
        lines.append(
            f"| {row.measurement.title} | {' | '.join([*figures, *ratios])} | {_bar(row)} | {_verdict(row)} |"
        )
    return lines


def _figure(row: Row, server: str) -> str:
    if server not in row.samples:
        return _NONE
    summary = summarize(values_of(row, server))
    low, high = _number(summary, summary.lowest), _number(summary, summary.highest)
    return f"{_number(summary, summary.median)} {row.measurement.unit} ({low}{_TO}{high})"


def _number(summary: Summary, value: float) -> str:
    return f"{value:,.0f}" if summary.median >= 100 else f"{value:.2f}"


def _times(ratio: float | None) -> str:
    return _NONE if ratio is None else f"{ratio:.2f}"


def _bar(row: Row) -> str:
    measurement = row.measurement
    if measurement.limit is not None:
        return f"< {measurement.limit:g} {measurement.unit}"
    if measurement.bar is None:
        return _NONE
    sign = "≥" if measurement.more_is_better else "≤"
    text = f"{sign} {measurement.bar:g} {_TIMES} {measurement.bar_against}"
    if measurement.bar_against in _SERVERS[1:]:
        return text
    return f"{text} on SQLite and disk (is {_times(ratio_to(row, measurement.bar_against))})"


def _verdict(row: Row) -> str:
    measurement = row.measurement
    if measurement.limit is not None:
        is_within = summarize(values_of(row, measurement.subject)).median < measurement.limit
        return "reached" if is_within else "**missed**"
    if measurement.bar is None:
        return ""
    ratio = median_ratio(values_of(row, measurement.subject), values_of(row, measurement.bar_against))
    is_reached = ratio >= measurement.bar if measurement.more_is_better else ratio <= measurement.bar
    return "reached" if is_reached else "**missed**"


def _costs(report: Report) -> list[str]:
    lines = [
        "## Processor time of the servers",
        "",
        "User and system time of all processes of a server, the median of the rounds. After small requests a server is",
        "let finish what they left it to do, which is part of the time: with us, the audit log is taken into the",
        "database. The last column says how long Entrepot went on after the last reply.",
        "",
        "| what | unit | Entrepot | docker-registry | nginx | busy afterwards |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in report.rows:
        unit, scale = {"req/s": ("s per 10,000 requests", 1e4), "MB/s": ("s per GB", 1e9)}.get(
            row.measurement.unit, ("s each", 1.0)
        )
        spent: list[str] = []
        for server in (row.measurement.subject, *_SERVERS[1:]):
            samples = row.samples.get(server, [])
            costs = [sample.cpu_seconds / sample.work * scale for sample in samples]
            spent.append(f"{summarize(costs).median:.2f}" if costs else _NONE)
        afterwards = _afterwards(row.samples.get(row.measurement.subject, []))
        lines.append(f"| {row.measurement.title} | {unit} | {' | '.join(spent)} | {afterwards} |")
    return lines


def _afterwards(samples: Sequence[Sample]) -> str:
    seconds = [sample.facts[BUSY_AFTERWARDS] for sample in samples if BUSY_AFTERWARDS in sample.facts]
    return f"{summarize(seconds).median:.1f} s" if seconds else _NONE


def _memory(report: Report) -> list[str]:
    lines = [
        "## Resident memory at rest after the run",
        "",
        "| server | process | resident | proportional (shared pages divided) |",
        "| --- | --- | --- | --- |",
    ]
    for server, processes in report.memory.items():
        lines.extend(
            f"| {server} | `{_short(process.command)}` | {process.resident_bytes / 1e6:.0f} MB "
            f"| {process.proportional_bytes / 1e6:.0f} MB |"
            for process in processes
        )
        total = sum(process.proportional_bytes for process in processes)
        lines.append(f"| {server} | all together | | {total / 1e6:.0f} MB |")
    return lines


def _short(command: str) -> str:
    """Return program and role of a process, without directories and addresses."""
    words = [word.rpartition("/")[2] for word in command.split() if not word.startswith(("{", "127."))]
    return " ".join(words[:5])


def _configurations(report: Report) -> list[str]:
    lines = ["## Configurations", ""]
    for server, texts in report.configurations.items():
        for name, text in texts.items():
            lines.extend([f"{server}, `{name}`:", "", "```text", text.rstrip(), "```", ""])
    return lines[:-1]


def _as_data(report: Report) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for row in report.rows:
        measurement = row.measurement
        rows.append(
            {
                "key": measurement.key,
                "title": measurement.title,
                "unit": measurement.unit,
                "bar": measurement.bar,
                "limit": measurement.limit,
                "bar_against": measurement.bar_against if measurement.bar is not None else None,
                "ratio": {name: ratio_to(row, name) for name in row.samples if name != measurement.subject},
                "samples": {
                    name: [dataclasses.asdict(sample) for sample in samples]
                    for name, samples in row.samples.items()
                },
            }
        )
    return {
        "scale": dataclasses.asdict(report.scale),
        "facts": report.facts,
        "rows": rows,
        "memory": {
            name: [dataclasses.asdict(process) for process in processes]
            for name, processes in report.memory.items()
        },
        "configurations": report.configurations,
    }

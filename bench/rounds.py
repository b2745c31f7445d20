"""Takes every measurement of every server in turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Server

__all__ = ["Measurement", "Row", "Sample", "take_rounds"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one server: the figure in the row's unit, and what it cost the server.

    `work` counts requests or bytes, whichever `cpu_seconds` was spent on. `facts` are kept in the JSON only.
    """

    value: float
    work: float
    cpu_seconds: float
    facts: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured, how often, on which servers.

    `bar` is the ratio to reach beside `bar_against`; `limit` is the figure of our own that must not be passed. Both
    are asked of `subject`, which is Entrepot in one shape or another.
    """

    key: str
    title: str
    unit: str
    rounds: int
    servers: tuple[Server, ...]
    take: Callable[[Server], Sample]
    more_is_better: bool = True
    bar: float | None = None
    bar_against: str = "docker-registry"
    limit: float | None = None
    subject: str = "entrepot"


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement taken: samples by server, the rounds in order."""

    measurement: Measurement
    samples: dict[str, list[Sample]]


def take_rounds(measurement: Measurement, say: Callable[[str], None]) -> Row:
    """Take all rounds; the server that begins is another one each time."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in measurement.servers}
    count = len(measurement.servers)
    for number in range(measurement.rounds):
        for place in range(count):
            server = measurement.servers[(number + place) % count]
            sample = measurement.take(server)
            samples[server.name].append(sample)
            place_of_round = f"{measurement.key} {number + 1}/{measurement.rounds}"
            say(f"  {place_of_round} {server.name}: {sample.value:,.4g} {measurement.unit}")
    return Row(measurement, samples)

"""Writes profiles as Markdown tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.native_samples import NativeShare
    from bench.stacks import FunctionShare

__all__ = ["Profile", "ThreadCost", "render_profiles"]

_FUNCTIONS_LISTED: Final = 20
_PLACES_LISTED: Final = 12


@dataclass(frozen=True, slots=True)
class ThreadCost:
    """Processor time of one thread per unit of work, in microseconds, without a profiler."""

    name: str
    microseconds: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One scenario: what its unit of work cost, and which Python functions and native symbols the samples were in.

    `microseconds_of_all` is what all processes of the registry took, with what they did after the last reply.
    """

    title: str
    unit: str
    microseconds_of_all: float
    threads: tuple[ThreadCost, ...]
    functions: tuple[FunctionShare, ...]
    native: tuple[NativeShare, ...]


def render_profiles(profiles: Sequence[Profile], placement: str) -> str:
    """Return a section for each profile."""
    lines = [f"Placement: {placement}.", ""]
    for profile in profiles:
        lines.extend(_render(profile))
    return "\n".join(lines)


def _render(profile: Profile) -> list[str]:
    whole = profile.microseconds_of_all
    total = sum(thread.microseconds for thread in profile.threads)
    by_name: defaultdict[str, float] = defaultdict(float)
    for thread in profile.threads:
        by_name[thread.name] += thread.microseconds
    lines = [
        f"## {profile.title}",
        "",
        f"{total:.0f} µs of processor time per {profile.unit} in the HTTP process, {whole:.0f} µs in all; by thread:",
        "",
        f"| thread | µs per {profile.unit} |",
        "| --- | --- |",
    ]
    for name, spent in sorted(by_name.items(), key=lambda item: -item[1]):
        if spent >= 0.5:
            lines.append(f"| `{name}` | {spent:.0f} |")
    lines += ["", "| Python function | own | with what it calls |", "| --- | --- | --- |"]
    for share in profile.functions[:_FUNCTIONS_LISTED]:
        lines.append(f"| `{share.function}` | {share.own:.1%} | {share.total:.1%} |")
    lines += ["", "| native code, all threads | share |", "| --- | --- |"]
    lines += [f"| `{place.place}` | {place.share:.1%} |" for place in profile.native[:_PLACES_LISTED]]
    return [*lines, ""]

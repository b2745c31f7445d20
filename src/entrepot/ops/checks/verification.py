"""Check of what the newest verifications found and nobody has mended since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.ops.checks.finding import Finding, passed, warned

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["judge_verification"]


def judge_verification(standing: Mapping[str, int]) -> Finding:
    """Judge the damage that stands, by kind."""
    if not standing:
        return passed("verification", "no verification or rebuild has left damage that stands")
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(standing.items()))
    remedy = (
        "entrepot verify --last names each, or the report of a rebuild, or entrepot verify, where that found more; "
        "the guide to entrepot verify says what each kind asks for. What was mended meanwhile counts until the next "
        "verification."
    )
    return warned("verification", f"a verification or a rebuild left damage: {listed}", remedy)

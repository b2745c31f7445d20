"""Draws bars as SVG on a logarithmic scale: a dependency for plotting would be larger than the picture is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bar", "bar_extent", "draw_bars"]

_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_FONT: Final = 'font-family="sans-serif" font-size="13"'
_WIDTH: Final = 960
_LABEL_WIDTH: Final = 400
_PLOT_WIDTH: Final = 480
_ROW_HEIGHT: Final = 28
_TOP: Final = 84
_LOWEST: Final = 1 / 4
_TICKS: Final = (0.25, 0.5, 1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Bar:
    """A label, and how many times better than the other one is."""

    label: str
    times: float


def bar_extent(times: float) -> tuple[float, float]:
    """Return left edge and width of a bar in pixels within the plot: it grows from 1 to the right or to the left."""
    origin, end = _place(1), _place(times)
    return min(origin, end), abs(end - origin)


def draw_bars(title: str, subtitle: str, bars: Sequence[Bar]) -> str:
    """Return the SVG document."""
    height = _TOP + len(bars) * _ROW_HEIGHT + 36
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="17" font-weight="bold" fill="#1f2937">{escape(title)}</text>',
        f'<text x="16" y="50" fill="#4b5563">{escape(subtitle)}</text>',
    ]
    bottom = height - 36
    for tick in _TICKS:
        x = _LABEL_WIDTH + _place(tick)
        colour = "#6b7280" if tick == 1 else "#e5e7eb"
        lines.append(f'<line x1="{x:.1f}" y1="{_TOP - 10}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}"/>')
        lines.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#4b5563">{tick:g} {_TIMES}</text>'
        )
    for number, bar in enumerate(bars):
        lines.extend(_draw_bar(bar, _TOP + number * _ROW_HEIGHT))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _draw_bar(bar: Bar, top: float) -> list[str]:
    left, width = bar_extent(bar.times)
    colour = "#15803d" if bar.times >= 1 else "#b91c1c"
    middle = top + 14
    return [
        f'<text x="{_LABEL_WIDTH - 12}" y="{middle}" text-anchor="end" fill="#1f2937">{escape(bar.label)}</text>',
        f'<rect x="{_LABEL_WIDTH + left:.1f}" y="{top}" width="{width:.1f}" height="18" fill="{colour}"/>',
        f'<text x="{_LABEL_WIDTH + left + width + 6:.1f}" y="{middle}" fill="#1f2937">{bar.times:.2f} {_TIMES}</text>',
    ]


def _place(times: float) -> float:
    """Return the pixel of a factor; what lies outside the scale is drawn at its end."""
    span = math.log(_TICKS[-1] / _LOWEST)
    clamped = min(max(times, _LOWEST), _TICKS[-1])
    return math.log(clamped / _LOWEST) / span * _PLOT_WIDTH

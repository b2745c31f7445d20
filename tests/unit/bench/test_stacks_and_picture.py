"""Shares of sampled functions, and the lengths of drawn bars."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bench.cores import Cores, split_cores
from bench.native_samples import parse_report
from bench.picture import Bar, bar_extent, draw_bars
from bench.stacks import FunctionShare, parse_stacks, rank_functions

RAW = """\
run (/usr/lib/python3.11/asyncio/runners.py:3);answer (/x/src/entrepot/a.py:7) 3
run (/usr/lib/python3.11/asyncio/runners.py:3);answer (/x/src/entrepot/a.py:7);answer (/x/src/entrepot/a.py:7) 1
run (/usr/lib/python3.11/asyncio/runners.py:3) 4
 92
"""


def test_own_and_total_shares() -> None:
    """Samples without a frame don't count, recursion counts once, paths are without their machine."""
    assert rank_functions(parse_stacks(RAW)) == [
        FunctionShare("run (asyncio/runners.py)", own=0.5, total=1.0),
        FunctionShare("answer (entrepot/a.py)", own=0.5, total=0.5),
    ]


def test_what_is_no_stack_is_refused() -> None:
    """Another format is not read as nothing."""
    with pytest.raises(ValueError, match="no stack"):
        parse_stacks("Sampling process 100 times a second")


def test_waiting_threads_are_left_out() -> None:
    """A thread that waits for work has spent no time, though the sampler finds it."""
    waiting = "run (/x/src/entrepot/a.py);_worker (/usr/lib/python3.11/concurrent/futures/thread.py) 90\n"
    working = "run (/x/src/entrepot/a.py) 10\n"

    assert rank_functions(parse_stacks(waiting + working)) == [FunctionShare("run (entrepot/a.py)", 1.0, 1.0)]


def test_bars_grow_from_one_to_both_sides_alike() -> None:
    """Twice as good is as long as half as good, on the other side."""
    better_left, better_width = bar_extent(2)
    worse_left, worse_width = bar_extent(0.5)

    assert better_width == pytest.approx(worse_width)
    assert worse_left + worse_width == pytest.approx(better_left)
    assert bar_extent(1)[1] == 0


def test_picture_is_well_formed_and_escapes_labels() -> None:
    """A label with markup stays text."""
    root = ET.fromstring(draw_bars("title", "sub", [Bar("a <b> & c", 3.0)]))  # noqa: S314 - made here

    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a <b> & c" in texts


@pytest.mark.parametrize(
    ("available", "expected"),
    [((0,), Cores((0,), (0,))), ((0, 1), Cores((0,), (1,))), ((0, 1, 2, 3), Cores((0, 1), (2, 3)))],
)
def test_client_gets_cores_of_its_own(available: tuple[int, ...], expected: Cores) -> None:
    """Only a single core is shared."""
    assert split_cores(available) == expected


def test_nameless_addresses_are_summed_by_library() -> None:
    """A stripped library is one line; named symbols stay apart; the kernel is one place."""
    text = (
        "# Overhead;Shared Object;Symbol\n"
        " 40.00%;libcrypto.so.3      ;[.] 0x00000000003a1ae1\n"
        " 20.00%;libcrypto.so.3      ;[.] 0x00000000003a1af3\n"
        " 30.00%;[kernel.kallsyms]   ;[k] copy_user_generic \n"
    )

    found = [(share.place, round(share.share, 6)) for share in parse_report(text)]
    assert found == [("libcrypto.so.3", 0.6), ("kernel: copy_user_generic", 0.3)]

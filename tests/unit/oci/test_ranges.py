"""Which bytes a client asks for or sends."""

from __future__ import annotations

import time

import pytest

from entrepot.oci.ranges import (
    ByteRange,
    ContentRange,
    InvalidContentRangeError,
    UnsatisfiableRangeError,
    parse_byte_range,
    parse_content_range,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 0)),
        ("bytes=0-99", ByteRange(0, 99)),
        ("bytes=10-19", ByteRange(10, 19)),
        ("bytes=10-", ByteRange(10, 99)),
        ("bytes=0-", ByteRange(0, 99)),
        ("bytes=99-", ByteRange(99, 99)),
        ("bytes=-1", ByteRange(99, 99)),
        ("bytes=-100", ByteRange(0, 99)),
        ("bytes=-101", ByteRange(0, 99)),
        ("bytes=50-100", ByteRange(50, 99)),
        ("bytes=0-18446744073709551615", ByteRange(0, 99)),
        (f"bytes=0-{'9' * 64}", ByteRange(0, 99)),
        (f"bytes=-{'9' * 64}", ByteRange(0, 99)),
        ("bytes=00007-00008", ByteRange(7, 8)),
        ("BYTES=1-2", ByteRange(1, 2)),
        ("bytes= 1-2\t", ByteRange(1, 2)),
    ],
)
def test_a_single_range_is_cut_to_the_content(header: str, expected: ByteRange) -> None:
    assert parse_byte_range(header, 100) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=--5",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes=0x1-0x2",
        "bytes=1.0-2",
        "bytes=\u0661-\u0662",
        "bytes = 1-2",
        "bytes 1-2/100",
        "bytes=1-2\n",
        "items=0-5",
        f"bytes={'0' * 65}-1",
        f"bytes={'9' * 100_000}-",
        "bytes=\ud800-",
    ],
)
def test_a_malformed_range_is_ignored_and_the_whole_content_sent(header: str) -> None:
    assert parse_byte_range(header, 100) is None


@pytest.mark.parametrize(
    "header", ["bytes=0-0,5-9", "bytes=0-0, -1", "bytes=,0-5", "bytes=0-5,", "bytes=200-,300-"]
)
def test_s40_several_ranges_are_ignored(header: str) -> None:
    assert parse_byte_range(header, 100) is None


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=100-", "bytes=100-200", f"bytes={'9' * 64}-", "bytes=-0", "bytes=-000"),
        *("bytes=5-4", "bytes=200-100"),
    ],
)
def test_a_range_without_a_byte_of_the_content_is_refused_with_the_size(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError) as caught:
        parse_byte_range(header, 100)

    assert caught.value.size == 100


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-0"])
def test_no_position_lies_within_empty_content(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_byte_range(header, 0)


def test_the_end_of_empty_content_is_all_of_it() -> None:
    assert parse_byte_range("bytes=-5", 0) is None


@pytest.mark.parametrize("separator", [",", ", ", " ,\t"])
def test_s40_ten_thousand_ranges_cost_next_to_nothing(separator: str) -> None:
    header = "bytes=" + separator.join(f"{start}-{start + 1}" for start in range(10_000))
    started = time.process_time()

    assert parse_byte_range(header, 10**9) is None
    assert parse_byte_range("bytes=" + " " * 100_000 + ",", 10**9) is None
    assert time.process_time() - started < 0.5


def test_lengths_count_both_ends() -> None:
    assert ByteRange(10, 19).length == 10
    assert ContentRange(0, 0).length == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0-99", ContentRange(0, 99)),
        ("100-100", ContentRange(100, 100)),
        (" 0-99 ", ContentRange(0, 99)),
        ("bytes 0-99/*", ContentRange(0, 99)),
        ("bytes 0-99/100", ContentRange(0, 99, 100)),
        ("bytes 0-99/1234", ContentRange(0, 99, 1234)),
        ("Bytes  0-99/*", ContentRange(0, 99)),
        (f"0-{2**63 - 2}", ContentRange(0, 2**63 - 2)),
    ],
)
def test_the_range_of_a_chunk_is_read_in_both_spellings(header: str, expected: ContentRange) -> None:
    assert parse_content_range(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-",
        "0-",
        "-99",
        "99-0",
        "a-b",
        "0-99/100",
        "0-99/*",
        "bytes",
        "bytes 0-99",
        "bytes=0-99/*",
        "bytes0-99/*",
        "bytes */100",
        "bytes 0-99/99",
        "bytes 0-99/0",
        "bytes 0-99/-1",
        "items 0-99/*",
        "0-99, 100-199",
        "+0-99",
        "0 - 99",
        "\u0660-\u0669",
        "0-99\n",
        f"0-{2**63 - 1}",
        f"0-{'9' * 20}",
        "9" * 100_000 + "-" + "9" * 100_000,
        "\ud800",
    ],
)
def test_what_names_no_range_of_a_chunk_is_refused(header: str) -> None:
    with pytest.raises(InvalidContentRangeError) as caught:
        parse_content_range(header)

    assert caught.value.text == header

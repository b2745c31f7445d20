"""JSON is read so that no other reader can understand the same bytes differently (S32), at bounded cost."""

from __future__ import annotations

import time

import pytest

from entrepot.oci.strict_json import (
    MAX_DEPTH,
    MAX_VALUES,
    InvalidJsonError,
    parse_strict_json,
    quote_untrusted,
)


def _reason(body: bytes) -> str:
    with pytest.raises(InvalidJsonError) as caught:
        parse_strict_json(body)
    return caught.value.reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b' {"a": [1, -2.5, "\\u00e9", true, false, null]} ', {"a": [1, -2.5, "é", True, False, None]}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\xc3\xa9"', "é"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"\\\\u0000"', "\\u0000"),
        (b"{}", {}),
    ],
)
def test_plain_json_is_read(body: bytes, expected: object) -> None:
    assert parse_strict_json(body) == expected


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"{}{}", b"{'a': 1}", b"[1,]", b'{"a": 1,}', b"01", b'"\t"']
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert _reason(body).startswith("the body is no JSON")


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
def test_s32_nan_and_infinities_are_refused(body: bytes) -> None:
    assert _reason(body).endswith("is not a JSON number")


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'[{"b":{"a":1,"c":2,"a":3}}]', b'{"a":1,"\\u0061":2}'])
def test_s32_duplicate_keys_are_refused_and_named(body: bytes) -> None:
    assert _reason(body) == "the key 'a' occurs twice in one object"


@pytest.mark.parametrize(
    "body", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', "{}".encode("utf-16"), "{}".encode("utf-32-le")]
)
def test_s32_other_encodings_than_utf_8_are_refused(body: bytes) -> None:
    assert _reason(body).startswith(("the body is not UTF-8", "the body is no JSON"))


def test_s32_a_byte_order_mark_is_refused() -> None:
    assert _reason(b"\xef\xbb\xbf{}").startswith("the body is no JSON")


@pytest.mark.parametrize(
    "body",
    [
        b'"\\ud800"',
        b'"\\uDFFF"',
        b'"\\ude00\\ud83d"',
        b'{"\\ud800": 1}',
        b'[{"a": ["x\\u0000"]}]',
        b'{"a\\u0000": 1}',
        b'"\\\\\\ud800"',
    ],
)
def test_s32_unpaired_surrogates_and_nul_are_refused_in_keys_and_values(body: bytes) -> None:
    assert _reason(body) == "a text holds an unpaired surrogate or U+0000"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_s32_nesting_is_bounded_whatever_the_parser_could_bear(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return opening * depth + (b"1" if b"{" in opening else b"") + closing * depth

    parse_strict_json(nested(MAX_DEPTH))
    parse_strict_json(b"[" + nested(MAX_DEPTH - 1) + b", [], {}]")
    assert _reason(nested(MAX_DEPTH + 1)) == f"arrays and objects nest deeper than {MAX_DEPTH} levels"
    assert _reason(nested(20_000)) == f"arrays and objects nest deeper than {MAX_DEPTH} levels"
    assert _reason(opening * 20_000) == f"arrays and objects nest deeper than {MAX_DEPTH} levels"


def test_many_shallow_arrays_are_not_taken_for_deep_ones() -> None:
    assert len(str(parse_strict_json(b"[" + b",".join([b"[]"] * 1000) + b"]"))) == 4000


@pytest.mark.parametrize("item", [b"[]", b"{}", b"0", b'""'])
def test_s36_the_number_of_values_is_bounded(item: bytes) -> None:
    body = b"[" + b",".join([item] * (MAX_VALUES + 1)) + b"]"

    assert _reason(body) == "the document holds more than 100,000 values"


@pytest.mark.parametrize("digits", [101, 5000, 4_000_000])
def test_s32_an_endless_integer_is_refused_and_not_converted(digits: int) -> None:
    assert _reason(b"[" + b"7" * digits + b"]") == "an integer has more than 100 digits"


def test_s36_the_costliest_documents_take_seconds_at_most() -> None:
    costliest = [
        b"[" + b"7" * 4_000_000 + b"]",
        b'"' + b"\\u0001" * 690_000 + b'"',
        b"[" + b",".join([b"{}"] * 49_000) + b"]",
        b"[" * 4_000_000,
    ]
    started = time.process_time()
    for body in costliest:
        try:
            parse_strict_json(body)
        except InvalidJsonError:
            continue

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "'plain'"),
        ("\x1b[2J\n", r"'\x1b[2J\n'"),
        ("é\ud800", r"'\xe9\ud800'"),
        ("x" * 101, f"'{'x' * 100}'…"),
    ],
)
def test_untrusted_text_is_quoted_escaped_and_cut(text: str, expected: str) -> None:
    assert quote_untrusted(text) == expected

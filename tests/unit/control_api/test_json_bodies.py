"""Bodies are read for names that are given twice, at next to no cost."""

from __future__ import annotations

import time
from typing import Final

import msgspec
import pytest

from entrepot.control_api.errors import InvalidInputError, MalformedRequestError
from entrepot.control_api.json_bodies import require_shallow, require_types, require_unique_names

_MOST_BYTES: Final = 1024 * 1024


def _judge(body: bytes) -> None:
    require_unique_names(body, require_shallow(msgspec.json.decode(body)))


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b'{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}',
        b'{"a":"b:c","d":"\\"e\\":","f\\\\":":"}',
        b'{"a\\\\\\"b:":[":","\\\\",":"]}',
        b'{ "a" : [ ] , "\xc3\xa9:" : "\\u003a" }',
        b'{"a":null,"":0}',
    ],
)
def test_colons_within_texts_are_no_names(body: bytes) -> None:
    _judge(body)


def test_a_long_key_is_told_in_part_whatever_stands_beside_it() -> None:
    """A number of as many digits as the decoder takes."""
    key = b"k" * 1000
    body = b'{"n":' + b"1" * 4300 + b',"' + key + b'":1,"' + key + b'":2}'

    with pytest.raises(MalformedRequestError, match=r"^the key 'kkk") as refused:
        _judge(body)

    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("item", [b"{}", b"[]", b'{"a":1}', b'":"', b'"\\""', b'{"a":":"}', b'{"a":null}'])
def test_names_are_told_apart_at_less_than_what_reading_the_body_costs(item: bytes) -> None:
    """It is done on the event loop; the largest bodies there can be."""
    body = b"[" + b",".join([item] * (_MOST_BYTES // (len(item) + 1))) + b"]"
    document = msgspec.json.decode(body)

    def seconds(members: int | None) -> float:
        began = time.process_time()
        if members is None:
            require_shallow(document)
        else:
            require_unique_names(body, members)
        return time.process_time() - began

    members = require_shallow(document)
    assert min(seconds(members) for _ in range(3)) < min(seconds(None) for _ in range(3)) + 0.02


class _Inner(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    title: str
    inner: _Inner | None = None
    items: list[_Inner] = []
    metadata: dict[str, str | None] = {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "title: is required"),
        ({"title": "x", "inner": {}}, "inner.name: is required"),
        ({"title": "x", "items": [{"name": "a"}, {}]}, "items[1].name: is required"),
        (
            {"title": "x", "metadata": {"severity": "low", "public": True}},
            "metadata['public']: Expected `str | null`, got `bool`",
        ),
        ({"title": "x", "metadata": {"n": 1, "b": True}}, "metadata['n']: Expected `str | null`, got `int`"),
        ({"title": "x", "metadata": {"l": []}}, "metadata['l']: Expected `str | null`, got `array`"),
        ({"title": "x", "metadata": []}, "metadata: Expected `object`, got `array`"),
    ],
)
def test_what_is_wrong_is_called_by_its_name(body: object, said: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_types(body, _Body)

    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"on": True, "many": [1]}, "'many': Expected `bool | int | str | null`, got `array`"),
        ({"k" * 300: {}}, "'" + "k" * 100 + "'…: Expected `bool | int | str | null`, got `object`"),
        ({"\n\x1b": {}}, r"'\n\x1b': Expected `bool | int | str | null`, got `object`"),
    ],
)
def test_a_name_that_the_body_chose_is_quoted_and_bounded(body: object, said: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_types(body, dict[str, bool | int | str | None])

    assert str(refused.value) == said

"""What no column holds is refused wherever it stands in a request, before anything looks for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.storable_values import require_plain_numbers, require_storable


class _Inner(msgspec.Struct):
    number: int


class _Outer(msgspec.Struct):
    items: list[_Inner]
    name: str = "9" * 30


@pytest.mark.parametrize("number", [10**18, -(10**18), 2**63, 2**200])
@pytest.mark.parametrize("place", ["field", "list", "mapping"])
def test_a_number_of_more_than_18_digits_is_refused_however_deep(place: str, number: int) -> None:
    values: dict[str, Any] = {
        "field": _Inner(number),
        "list": _Outer([_Inner(1), _Inner(number)]),
        "mapping": {"a": [{"b": number}]},
    }

    with pytest.raises(InvalidInputError, match="at most 18 digits"):
        require_storable(_Inner(1), values[place])


@pytest.mark.parametrize("values", [_Outer([], "a\0"), {"a\0": 1}, {"a": ["b", {"c": "\0"}]}])
def test_a_text_that_postgresql_does_not_hold_is_refused_however_deep(values: object) -> None:
    with pytest.raises(InvalidInputError, match=r"a text holds no U\+0000"):
        require_storable(_Inner(1), values)


@pytest.mark.parametrize("number", [0, -1, 10**18 - 1, 1 - 10**18])
def test_other_numbers_and_long_texts_pass(number: int) -> None:
    require_storable(_Outer([_Inner(number)]), {"a": number, "b": "1" * 40, "c": 1e300, "d": None})


@pytest.mark.parametrize("sent", ["5.0", "5e0", "+5", " 5", "5_0", "0x5", "--5", ""])
def test_a_number_of_a_path_is_written_in_digits_i11(sent: str) -> None:
    """Else the thing has an address by which no record names it."""
    with pytest.raises(InvalidInputError):
        require_plain_numbers({"robot_id": 5}, {"robot_id": sent})
    require_plain_numbers({"robot_id": 5, "name": sent}, {"robot_id": "5", "name": sent})

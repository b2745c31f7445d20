"""Turns what a source holds into a value of the field's type, or says what is wrong and what is accepted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.settings.secret import Secret
from entrepot.settings.sizes import format_size, parse_size

if TYPE_CHECKING:
    from entrepot.settings.catalogue import SettingField, SettingValue

__all__ = ["convert_text", "convert_value"]

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def convert_text(field: SettingField, text: str) -> SettingValue:
    """Convert the text of a variable or a flag. Raises ValueError without repeating a secret."""
    if field.value_type is bool:
        return _parse_boolean(text)
    if field.value_type is int:
        return _check_range(field, parse_size(text) if field.is_size else _parse_whole_number(text))
    if field.value_type is float:
        return _check_range(field, _parse_number(text))
    return _convert_string(field, text)


def convert_value(field: SettingField, raw: object) -> SettingValue:
    """Convert a value of a TOML or JSON file, whose type must fit already. Raises ValueError."""
    if field.value_type is bool:
        if isinstance(raw, bool):
            return raw
    elif isinstance(raw, str):
        if field.is_size:
            return _check_range(field, parse_size(raw))
        if field.value_type not in (int, float):
            return _convert_string(field, raw)
    elif isinstance(raw, (int, float)) and not isinstance(raw, bool):
        if field.value_type is int and isinstance(raw, int):
            return _check_range(field, raw)
        if field.value_type is float:
            return _check_range(field, _check_finite(float(raw)))
    message = f"expected {_name_expected(field)}, found {_name_found(raw)}"
    raise ValueError(message)


def _convert_string(field: SettingField, text: str) -> SettingValue:
    if "\x00" in text:
        message = "holds a NUL character"
        raise ValueError(message)
    if field.choices and text not in field.choices:
        message = f"{text!r} is not one of {', '.join(field.choices)}"
        raise ValueError(message)
    if field.value_type is Path:
        return Path(text)
    return Secret(text) if field.value_type is Secret else text


def _parse_boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    message = f"{text!r} is neither true nor false"
    raise ValueError(message)


def _parse_whole_number(text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 18:
        message = f"{text!r} is not a whole number"
        raise ValueError(message)
    return int(text)


def _parse_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        message = f"{text!r} is not a number"
        raise ValueError(message) from error
    return _check_finite(number)


def _check_finite(number: float) -> float:
    if not math.isfinite(number):
        message = f"{number} is not a finite number"
        raise ValueError(message)
    return number


def _check_range(field: SettingField, number: float) -> int | float:
    minimum, maximum = field.setting.minimum, field.setting.maximum
    if minimum is not None and number < minimum:
        message = f"{_show(field, number)} is too small; the least is {_show(field, minimum)}"
        raise ValueError(message)
    if maximum is not None and number > maximum:
        message = f"{_show(field, number)} is too large; the most is {_show(field, maximum)}"
        raise ValueError(message)
    return number


def _show(field: SettingField, number: float) -> str:
    return format_size(int(number)) if field.is_size else f"{number:.15g}"


def _name_expected(field: SettingField) -> str:
    if field.is_size:
        return "a size as 8MiB or a number of bytes"
    names: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}
    return names.get(field.value_type, "a string")


def _name_found(raw: object) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    names: dict[type, str] = {
        str: "a string",
        int: "a whole number",
        float: "a fraction",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(raw), f"a {type(raw).__name__}")

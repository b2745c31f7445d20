"""What an audit record tells of a change, without the secrets that somebody typed or pasted (S27).

All texts are looked through, names of what exists as well: nothing but a secret looks like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from entrepot.kernel.secret_forms import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["masked_values"]

T = TypeVar("T")


def masked_values(value: T) -> T:
    """Return what was changed with its texts masked, and what they are filed under, as tags."""
    masked: Any = value
    if isinstance(value, str):
        masked = without_secrets(value)
    elif isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        masked = {without_secrets(name): masked_values(each) for name, each in entries.items()}
    elif isinstance(value, (list, tuple, set, frozenset)):
        masked = [masked_values(each) for each in cast("Iterable[object]", value)]
    return cast("T", masked)

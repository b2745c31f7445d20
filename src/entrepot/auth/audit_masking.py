"""What an audit record tells of a request and of a change, without the secrets that somebody typed or pasted (S27).

All texts are looked through, names of what exists as well: nothing but a secret looks like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from entrepot.kernel.secret_forms import MOST_CHARACTERS, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.auth.principals import Origin

__all__ = ["masked_request", "masked_values"]

_MOST_OF_A_REASON: Final = 4096
"""Characters. What is longer is cut before it is looked through; what is left of a secret then is none."""

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


def masked_request(origin: Origin, reason: str) -> tuple[Origin, str]:
    """Return what a request says of itself, and why it ended so; its program is masked with who it is of."""
    path, reason = origin.path[:MOST_CHARACTERS], reason[:_MOST_OF_A_REASON]
    texts = f"{path} {origin.request_id} {reason}"
    if without_secrets(texts) is not texts:
        path, request_id, reason = map(without_secrets, (path, origin.request_id, reason))
        origin = msgspec.structs.replace(origin, request_id=request_id)
    if path is not origin.path:
        origin = msgspec.structs.replace(origin, path=path)
    return origin, reason

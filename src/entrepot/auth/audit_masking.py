"""Which texts of an audit record may hold a secret that somebody typed or pasted, and those texts without it (S27).

What exists is told by its name, unless that is a secret as a whole. What was refused, and what clients say of
themselves, may be anything, and is looked through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from entrepot.kernel.secret_forms import is_secret, typed_without_secrets, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.auth.principals import Origin, Principal

__all__ = ["holds_secrets", "masked_name", "masked_origin", "masked_values", "name_of_actor"]

T = TypeVar("T")


def masked_values(value: T) -> T:
    """Return what was changed with its texts masked; what they are filed under are names, as those of tags."""
    masked: Any = value
    if isinstance(value, str):
        masked = without_secrets(value)
    elif isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        masked = {masked_name(name): masked_values(each) for name, each in entries.items()}
    elif isinstance(value, (list, tuple, set, frozenset)):
        masked = [masked_values(each) for each in cast("Iterable[object]", value)]
    return cast("T", masked)


def name_of_actor(principal: Principal) -> str:
    """Return the name of who acts; nobody's is what somebody typed."""
    return without_secrets(principal.name) if principal.kind == "anonymous" else principal.name


def holds_secrets(origin: Origin, reason: str) -> bool:
    """Whether a text that clients make up may hold one; looked for in all of them at once."""
    texts = f"{origin.path} {origin.request_id} {reason}"
    return typed_without_secrets(texts) is not texts


def masked_origin(origin: Origin) -> Origin:
    """Return what a request says of itself, masked; its program is masked with who it is of."""
    path, request_id = typed_without_secrets(origin.path), typed_without_secrets(origin.request_id)
    return msgspec.structs.replace(origin, path=path, request_id=request_id)


def masked_name(text: str) -> str:
    """Return the name of something that exists, masked if it is a secret as a whole."""
    return without_secrets(text) if is_secret(text) else text

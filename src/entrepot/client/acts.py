"""What the columns of recorded acts say, read from their facts under the names of the Elastic Common Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["actor_of", "image_of_act", "reason_of_act"]

_THE_REGISTRY: Final = "registry"
"""The id of what nobody asked for; those of people on the host begin with `host:`."""

_DIGEST_CHARACTERS: Final = len("sha256:") + 12
"""As many as clients show of a digest; the records have all of it."""


def image_of_act(fields: Mapping[str, object]) -> str:
    """Return the tags and the beginning of the digest that an act was about, as `v3,latest sha256:dcf333b5b7c2`."""
    tags = ",".join(_texts(fields.get("container.image.tag")))
    digests = [digest[:_DIGEST_CHARACTERS] for digest in _texts(fields.get("container.image.hash.all"))]
    return " ".join(part for part in (tags, *digests) if part)


def reason_of_act(fields: Mapping[str, object]) -> str:
    """Return why an act was refused, and how many more refusals the record stands for."""
    reason, times = str(fields.get("event.reason", "")), fields.get("entrepot.repeats")
    if times is None:
        return reason
    several = ", several addresses" if "entrepot.repeats_from" in fields else ""
    return f"{reason} ({times} times{several})"


def actor_of(fields: Mapping[str, object], name: str) -> str:
    """Return who did it: the name, or the id where the record has no name, as that of a token that is no longer good.

    Of users of the host, as `host:root`, and of the registry, who may be called as a person or robot is, it is told so.
    """
    number = str(fields.get("user.id", ""))
    if fields.get("entrepot.user.kind") == "host":
        return f"({number})" if number == _THE_REGISTRY else number
    return name or number


def _texts(found: object) -> Sequence[str]:
    return cast("Sequence[str]", found or ())

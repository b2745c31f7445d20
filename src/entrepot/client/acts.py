"""What the columns of recorded acts say, read from their facts under the names of the Elastic Common Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["image_of_act", "is_of_the_host", "reason_of_act"]

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


def is_of_the_host(fields: Mapping[str, object]) -> bool:
    """Tell whether a user of the host did it, who may be called as a person or robot is."""
    return fields.get("entrepot.user.kind") == "host"


def _texts(found: object) -> Sequence[str]:
    return cast("Sequence[str]", found or ())

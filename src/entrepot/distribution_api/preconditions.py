"""`If-Match` and `If-None-Match` of a manifest PUT (RFC 9110, section 13.1): they speak of the tags it moves.

The distribution-spec lets clients push lists of referrers that way, so that two of them don't overwrite each other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.registry.pushes.tag_conditions import UNCONDITIONAL, TagCondition

if TYPE_CHECKING:
    from entrepot.distribution_api.requests import Request

__all__ = ["tag_condition"]


def tag_condition(request: Request) -> TagCondition:
    """Return what the request's headers ask of every tag that it names, in its path or in its query.

    An entity tag is the digest in quotes. One that is none of ours names nothing that a tag could point at, and a weak
    one never counts for `If-Match`, which compares strongly.
    """
    match, none_match = request.text_header(b"if-match"), request.text_header(b"if-none-match")
    if match is None and none_match is None:
        return UNCONDITIONAL
    named, unnamed = _entity_tags(match), _entity_tags(none_match)
    exists = True if "*" in named else None
    if "*" in unnamed:
        exists = False
    return TagCondition(
        one_of=None if match is None or "*" in named else frozenset(_digests(named)),
        none_of=frozenset(_digests([tag.removeprefix("W/") for tag in unnamed])),
        exists=exists,
    )


def _entity_tags(header: str | None) -> list[str]:
    return [] if header is None else [tag.strip(" \t") for tag in header.split(",")]


def _digests(tags: list[str]) -> list[str]:
    return [tag[1:-1] for tag in tags if len(tag) > 2 and tag[0] == tag[-1] == '"']

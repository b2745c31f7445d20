"""What listings of the audit log can be narrowed and sorted by; for acts, Harbor's words do as well as ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction, near_actions
from entrepot.control_api.audit_pages import AuditPageInputs
from entrepot.control_api.errors import InvalidFilterError
from entrepot.control_api.filters import AnyOf, Exact, FilterField, Fuzzy, Span, parse_filters
from entrepot.control_api.plain_filters import NAME
from entrepot.control_api.sorting import parse_sort
from entrepot.kernel.plain_addresses import written_address
from entrepot.metadata.audit_store import AuditFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.control_api.audit_pages import Direction
    from entrepot.control_api.filters import Condition

__all__ = ["AuditFilterInputs", "wanted_order", "wanted_records"]

_WHOLE: Final = frozenset({"exact", "any"})
"""Nothing is asked for in part. A list of one quotes what a term could not hold otherwise; of several, see below."""
_FILTERS: Final = {
    "username": FilterField("user", operators=NAME, label="username"),
    "userid": FilterField("subject", operators=_WHOLE, label="user_id"),
    "operation": FilterField("operation", operators=NAME),
    "resource": FilterField("object_name", operators=NAME, label="resource"),
    "resourcetype": FilterField("object_kind", operators=NAME, label="resource_type"),
    "projectname": FilterField("project", operators=NAME, label="project_name"),
    "address": FilterField("address", operators=_WHOLE),
    "outcome": FilterField("outcome", operators=_WHOLE),
    "requestid": FilterField("request_id", operators=_WHOLE, label="request_id"),
    "optime": FilterField("op_time", "time", frozenset({"range"})),
}
# By field, what of :class:`AuditFilter` any of several values is, and what it contains.
_LISTED: Final = {
    "user": "users",
    "object_name": "objects",
    "object_kind": "object_kinds",
    "project": "projects",
    "address": "addresses",
}
_PARTIAL: Final = {
    "user": "user_part",
    "object_name": "object_part",
    "object_kind": "object_kind_part",
    "project": "project_part",
}
_SORTS: Final = {"id": "id", "optime": "op_time"}
_OUTCOMES: Final = frozenset({"success", "failure"})
_HARBORS_WORDS: Final[dict[str, tuple[AuditAction, ...]]] = {
    "pull": (AuditAction.MANIFEST_PULL,),
    "push": (AuditAction.MANIFEST_PUSH,),
    "create_artifact": (AuditAction.MANIFEST_PUSH,),
    "pull_artifact": (AuditAction.MANIFEST_PULL,),
    "delete_artifact": (AuditAction.MANIFEST_DELETE,),
    "login_user": (AuditAction.LOGIN,),
    "logout_user": (AuditAction.LOGOUT,),
    "create": (
        AuditAction.MANIFEST_PUSH,
        *(action for action in AuditAction if action.endswith(".create")),
    ),
    "delete": tuple(action for action in AuditAction if action.endswith(".delete")),
    "update": tuple(action for action in AuditAction if action.endswith(".update")),
}
"""What Harbor calls acts, where it is not our name the other way round, as `create_project` for `project.create`."""


class AuditFilterInputs(AuditPageInputs, kw_only=True, frozen=True):
    """Which records are meant, and in which order."""

    q: Annotated[
        str,
        msgspec.Meta(
            description="Terms joined by commas, all of which hold: `username=` (`host:root` for root of the "
            "host), `user_id=` (which stays when a name is erased), `operation=` (a name as `manifest.push`, or one of "
            "Harbor's words), `resource=`, `resource_type=`, `project_name=`, `address=` (in any spelling of it), "
            "`request_id=` (of `X-Request-Id`), `outcome=` (`success` or `failure`), and `op_time=[least~most]` of "
            "times like `2026-11-27 10:00:00` or `2026-11-27T10:00:00.250Z`, in UTC unless they have an offset; one of "
            "the two may be left out. Names, operations, resources and addresses may be any of several, `{a b}`; all "
            "of these but addresses may be said in part, `=~`, in any case of letters, for which each record of the "
            "time is looked at: give `op_time`, too. What has a comma in it is quoted in a list: `resource={'a, b'}`."
        ),
    ] = ""
    sort: Annotated[
        str,
        msgspec.Meta(
            description="`-op_time` or `-id`: the newest first, as without it; `op_time` or `id`: the oldest first."
        ),
    ] = ""


def wanted_order(text: str) -> Direction:
    """Return which way records are walked; they are in the order in which the log got them, whichever field is named.

    Raises:
        InvalidSortError: it can't be sorted by this.
    """
    keys = parse_sort(text, _SORTS)
    return "newer" if keys and not keys[0].descending else "older"


def wanted_records(text: str) -> AuditFilter:
    """Return which records `q` means.

    Raises:
        InvalidFilterError: it is malformed, or names a field or a value that no record can have.
    """
    wanted = AuditFilter()
    for term in parse_filters(text, _FILTERS):
        condition = term.condition
        if isinstance(condition, Span):
            wanted = _between(wanted, condition)
        elif term.field == "operation":
            wanted = _of_acts(wanted, condition)
        else:
            wanted = replace(wanted, **_named(term.field, condition))
    if wanted.outcome and wanted.outcome not in _OUTCOMES:
        raise InvalidFilterError("outcome is success or failure")
    if wanted.address or wanted.addresses:
        addresses = tuple(map(_address, wanted.addresses))
        wanted = replace(wanted, address=wanted.address and _address(wanted.address), addresses=addresses)
    if wanted.until <= wanted.since:
        raise InvalidFilterError("op_time ends before it begins")
    return wanted


def _named(field: str, condition: Condition) -> dict[str, Any]:
    """Return what of :class:`AuditFilter` a condition on names sets.

    Raises:
        InvalidFilterError: the field can't be any of several.
    """
    if isinstance(condition, Fuzzy):
        return {_PARTIAL[field]: condition.text}
    values = _values(condition)
    if len(values) == 1:
        return {field: values[0]}
    if field not in _LISTED:
        shown = next(one.shown for one in _FILTERS.values() if one.name == field)
        raise InvalidFilterError(f"{shown} is one value")
    return {_LISTED[field]: values}


def _values(condition: Condition) -> tuple[str, ...]:
    """Return what a field may be."""
    if isinstance(condition, AnyOf):
        return tuple(map(str, condition.values))
    return (str(condition.value),) if isinstance(condition, Exact) else ()


def _address(text: str) -> str:
    """Return an address as records have it. What none can have come from would look as if nothing had happened.

    Raises:
        InvalidFilterError: it is none.
    """
    try:
        return written_address(text)
    except ValueError as error:
        raise InvalidFilterError(f"address is one IP address, as 192.0.2.7, and not {text[:100]}") from error


def _between(wanted: AuditFilter, span: Span) -> AuditFilter:
    since = wanted.since if span.least is None else int(span.least)
    return replace(wanted, since=since, until=wanted.until if span.most is None else int(span.most) + 1)


def _of_acts(wanted: AuditFilter, condition: Condition) -> AuditFilter:
    if isinstance(condition, Fuzzy):
        actions = sorted(_acts_named_in_part(condition.text))
    else:
        actions = sorted({action.value for word in _values(condition) for action in _acts(word)})
    return replace(wanted, action=actions[0]) if len(actions) == 1 else replace(wanted, actions=actions)


def _acts_named_in_part(text: str) -> Iterable[str]:
    """Return the acts whose name, or a word of Harbor's for them, contains a text.

    Raises:
        InvalidFilterError: there are none.
    """
    part = text.lower()
    found = {action.value for action in AuditAction if part in action.value or part in _harbors_form(action)}
    found.update(action.value for word, acts in _HARBORS_WORDS.items() if part in word for action in acts)
    if not found:
        raise InvalidFilterError(f"no operation has {text[:100]} in its name")
    return found


def _harbors_form(action: AuditAction) -> str:
    kind, _, verb = action.value.partition(".")
    return f"{verb}_{kind}"


def _acts(word: str) -> tuple[AuditAction, ...]:
    """Return the acts of our name, or of one of Harbor's words."""
    verb, _, kind = word.partition("_")
    for name in (word, f"{kind}.{verb}"):
        if name in set(AuditAction):
            return (AuditAction(name),)
    found = _HARBORS_WORDS.get(word)
    if found is None:
        raise InvalidFilterError(
            f"there is no operation {word[:100]}; is one of these meant: {near_actions(word)}?"
        )
    return found

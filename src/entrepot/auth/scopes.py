"""Scopes: what a client asks a token for, as `repository:team/app:pull,push` (distribution, "Token Scope").

Written by hand since it reads what anybody sends: what is malformed, or of a kind that we do not have, asks for
nothing, and is never an error (T4, T6).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.kernel.errors import EntrepotError
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CATALOG_SCOPE",
    "EVERY_ACTION",
    "MAX_SCOPES",
    "MAX_SCOPE_CHARACTERS",
    "ScopeLimitError",
    "ScopeRequest",
    "ordered_actions",
    "parse_scopes",
    "repository_scope",
]

EVERY_ACTION: Final = "*"
CATALOG_SCOPE: Final = "registry:catalog:*"
MAX_SCOPES: Final = 100
MAX_SCOPE_CHARACTERS: Final = 8192
"""Of all scopes together: the token that holds them has to pass through headers."""

_ORDER: Final = {name: place for place, name in enumerate(("pull", "push", "delete", EVERY_ACTION))}
_KIND: Final = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?\Z", re.ASCII)
_ACTION: Final = re.compile(r"(?:[a-z]+|\*)\Z", re.ASCII)
_NO_ACTIONS: Final[frozenset[str]] = frozenset()


class ScopeLimitError(EntrepotError):
    """More is asked for in one token than any client needs."""

    def __init__(self) -> None:
        super().__init__(
            f"a token is asked for with {MAX_SCOPES} scopes at most, and {MAX_SCOPE_CHARACTERS} characters in all"
        )


class ScopeRequest(msgspec.Struct, frozen=True):
    """Everything that one request asks for.

    Attributes:
        repositories: the actions asked for, by repository, in the order of their first mention.
        catalog: whether the list of repositories is asked for.
        is_empty: whether no scope was given at all, well-formed or not: how clients try out credentials.
    """

    repositories: dict[RepositoryName, frozenset[str]]
    catalog: bool
    is_empty: bool

    def text(self) -> str:
        """Return the same as canonical scopes."""
        asked = [repository_scope(name, actions) for name, actions in self.repositories.items()]
        return " ".join([*asked, CATALOG_SCOPE] if self.catalog else asked)


def parse_scopes(values: Iterable[str]) -> ScopeRequest:
    """Read scopes, each value holding any number of them, apart by spaces (T5); what is repeated is added up.

    Raises:
        ScopeLimitError: there are too many, or they are too long.
    """
    texts = list(values)
    if sum(map(len, texts)) > MAX_SCOPE_CHARACTERS:
        raise ScopeLimitError
    scopes = [scope for text in texts for scope in text.split(" ") if scope]
    if len(scopes) > MAX_SCOPES:
        raise ScopeLimitError
    repositories: dict[RepositoryName, frozenset[str]] = {}
    catalog = False
    for kind, name, actions in filter(None, map(_split, scopes)):
        if kind == "repository":
            repository = _repository(name)
            if repository is not None:
                repositories[repository] = repositories.get(repository, _NO_ACTIONS) | actions
        elif kind == "registry" and name == "catalog":
            catalog = catalog or EVERY_ACTION in actions
    return ScopeRequest(repositories, catalog, not scopes)


def ordered_actions(actions: Iterable[str]) -> list[str]:
    """Return actions in the canonical order: pull, push, delete, `*`, then others by name."""
    return sorted(actions, key=lambda action: (_ORDER.get(action, len(_ORDER)), action))


def repository_scope(repository: RepositoryName | str, actions: Iterable[str]) -> str:
    """Return the canonical text of a scope."""
    return f"repository:{repository}:{','.join(ordered_actions(actions))}"


def _split(scope: str) -> tuple[str, str, frozenset[str]] | None:
    """Split at the first and the last colon: a name may hold one, and the class of a type is obsolete and ignored."""
    kind, first, rest = scope.partition(":")
    name, last, listed = rest.rpartition(":")
    matched = _KIND.match(kind)
    if matched is None or not first or not last or not name:
        return None
    actions = listed.split(",") if listed else []
    if not all(_ACTION.match(action) for action in actions):
        return None
    return matched[1], name, frozenset(actions)


def _repository(name: str) -> RepositoryName | None:
    """Return the repository, which must be spelled exactly so (T11); `None` when nothing can be called that."""
    try:
        return RepositoryName.parse(name)
    except InvalidRepositoryNameError:
        return None

"""What is known of a request under way, carried in the ASGI scope from the edge to the endpoint and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from entrepot.control_api.credentials import Caller
    from entrepot.control_api.request_head import RequestHead
    from entrepot.kernel.asgi import Scope
    from entrepot.kernel.errors import EntrepotError

__all__ = ["UNROUTED", "RequestContext", "carry_context", "context_of"]

_KEY: Final = "entrepot_request"

UNROUTED: Final = "unknown"
"""The operation of requests that match no endpoint, in metrics and logs."""


@dataclass(slots=True)
class RequestContext:
    """One request; belongs to the task that handles it.

    Attributes:
        path_values: what the path has for the parameters of its endpoint, as text.
        grant: what the demand of its endpoint gave; of the type that the endpoint's handler declares.
        body_bytes: how many its body has.
        body: what its body was read into, `None` until it was.
        failure: what it is answered with, if that is an error.
        body_failure: what is wrong with the body, for whoever is let in to be told.
        note_failure: what is told the status of an error before it is answered, once an endpoint was found.
    """

    head: RequestHead
    operation: str = UNROUTED
    caller: Caller | None = None
    path_values: Mapping[str, str] = field(default_factory=dict[str, str])
    grant: Any = None
    body_bytes: int = 0
    body: Any = None
    failure: EntrepotError | None = None
    body_failure: EntrepotError | None = None
    note_failure: Callable[[int], Awaitable[None]] | None = None


def carry_context(scope: Scope, context: RequestContext) -> None:
    """Put the context where `context_of` finds it."""
    scope[_KEY] = context


def context_of(scope: Any) -> RequestContext:  # noqa: ANN401  # a scope is of another type in each framework
    """Return the context of a request."""
    context: RequestContext = scope[_KEY]
    return context

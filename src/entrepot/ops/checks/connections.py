"""Check of whether PostgreSQL grants as many connections as all nodes together may ask for (F18)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, passed, warned
from entrepot.processes.assignment import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.sql.engine_facts import EngineFacts

__all__ = ["judge_connections"]

_PROCESSES: Final = len(Role)
"""Of a node; each has a pool of its own."""


def judge_connections(facts: EngineFacts, pool_size: int) -> Finding:
    """Compare what the nodes seen now may ask for with what PostgreSQL grants.

    Nodes are told apart by their addresses, so that two on one machine, or behind one proxy, count as one.
    """
    options = facts.options
    granted, how = _granted(options)
    nodes = max(1, int(options.get("addresses_of_nodes", "1")))
    per_node = _PROCESSES * pool_size
    seen = "this node" if nodes == 1 else f"{nodes} nodes, as many addresses as are connected,"
    message = (
        f"{seen} may ask for {nodes * per_node} connections ({nodes} x {_PROCESSES} processes x metadata.pool_size "
        f"{pool_size}); PostgreSQL grants {granted} ({how})"
    )
    if nodes * per_node > granted:
        remedy = (
            "Raise max_connections, or lower metadata.pool_size on every node. Without a connection a process waits "
            "for one of its own, and one that has none answers 503."
        )
        return warned("connections", message, remedy)
    fit = granted // per_node
    return passed("connections", f"{message}: enough for {fit} such node{'' if fit == 1 else 's'}")


def _granted(options: Mapping[str, str]) -> tuple[int, str]:
    """Return how many connections there are for this user in this database, and what limits them."""
    most = int(options.get("max_connections", "100"))
    # The first of these exists from PostgreSQL 16 on.
    names = ("reserved_connections", "superuser_reserved_connections")
    reserved = sum(int(options.get(name, "0")) for name in names)
    limits = [(most - reserved, f"max_connections {most}, less {reserved} reserved")]
    for name, whose in (("role_connection_limit", "user"), ("database_connection_limit", "database")):
        limit = int(options.get(name, "-1"))
        if limit >= 0:
            limits.append((limit, f"the CONNECTION LIMIT of its {whose}"))
    return min(limits, key=lambda limit: limit[0])

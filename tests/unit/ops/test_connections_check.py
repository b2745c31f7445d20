"""What `entrepot doctor` says of the connections that all nodes may ask PostgreSQL for."""

from __future__ import annotations

import pytest

from entrepot.metadata.sql.engine_facts import EngineFacts
from entrepot.ops.checks.connections import judge_connections

_DEFAULT = {
    "max_connections": "100",
    "superuser_reserved_connections": "3",
    "role_connection_limit": "-1",
    "database_connection_limit": "-1",
}


@pytest.mark.parametrize(
    ("options", "pool_size", "status", "said"),
    [
        ({}, 10, "ok", "this node may ask for 30 connections (1 x 3 processes x metadata.pool_size 10)"),
        (
            {},
            10,
            "ok",
            "PostgreSQL grants 97 (max_connections 100, less 3 reserved): enough for 3 such nodes",
        ),
        ({"addresses_of_nodes": "0"}, 32, "ok", "96 connections"),
        (
            {"addresses_of_nodes": "3"},
            10,
            "ok",
            "3 nodes, as many addresses as are connected, may ask for 90",
        ),
        (
            {"addresses_of_nodes": "4"},
            10,
            "warn",
            "4 nodes, as many addresses as are connected, may ask for 120",
        ),
        ({}, 33, "warn", "may ask for 99"),
        ({"reserved_connections": "10"}, 30, "warn", "grants 87 (max_connections 100, less 13 reserved)"),
        ({"role_connection_limit": "20"}, 10, "warn", "grants 20 (the CONNECTION LIMIT of its user)"),
        ({"database_connection_limit": "40"}, 10, "ok", "enough for 1 such node"),
    ],
)
def test_f18_what_nodes_may_ask_for_is_compared_with_what_postgresql_grants(
    options: dict[str, str], pool_size: int, status: str, said: str
) -> None:
    finding = judge_connections(EngineFacts("postgresql", "17.2", 1, {}, _DEFAULT | options), pool_size)

    assert finding.status == status
    assert said in finding.message
    assert ("metadata.pool_size" in finding.remedy and "max_connections" in finding.remedy) == (
        status == "warn"
    )

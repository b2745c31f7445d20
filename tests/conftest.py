"""Joins the plumbing into every test run; fixtures of one kind of test live in that kind's folder."""

from __future__ import annotations

pytest_plugins = [
    "tests.plumbing.skips",
    "tests.plumbing.seeds",
    "tests.plumbing.budgets",
    "tests.plumbing.patience",
    "tests.plumbing.timing",
    "tests.plumbing.shares",
    "tests.running.calm_disk",
    "tests.running.event_loop",
    "tests.running.visitors",
    "tests.running.setups",
    "tests.drivers.s3_server",
    "tests.drivers.postgres_server",
]

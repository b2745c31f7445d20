"""Every way to be let in comes to every setup, within four commits."""

from __future__ import annotations

from tests.running.setups import Setup
from tests.running.visitors import Access, access_of


def test_four_commits_bring_each_access_to_each_setup() -> None:
    for place, _ in enumerate(Setup):
        assert {access_of(place, seed) for seed in range(10, 14)} == set(Access)


def test_each_run_has_each_access_and_accounts_where_real_clients_run() -> None:
    for seed in range(4):
        found = [access_of(place, seed) for place, _ in enumerate(Setup)]

        assert set(found) == set(Access)
        assert {found[0], found[-1]} != {Access.ANONYMOUS}

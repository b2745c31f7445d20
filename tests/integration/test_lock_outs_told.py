"""Whoever watches a running registry hears of lock-outs: in its log once, and in its metrics by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.running.with_accounts import ADMINISTRATOR, EntrepotWithAccounts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_out_is_in_the_log_once_and_refusals_are_counted_s14_s27(tmp_path: Path) -> None:
    dead, typed = "ept_" + "A" * 43, "Typed-Where-The-Name-Belongs-1"
    with EntrepotWithAccounts(tmp_path / "registry") as registry:
        statuses = [
            httpx.get(f"{registry.url}/api/v2.0/users/current", auth=credentials).status_code
            for credentials in (
                *[(ADMINISTRATOR.name, dead)] * 6,
                *[(ADMINISTRATOR.name, "Wrong-Password-1")] * 6,
                (typed, "Wrong-Password-1"),
            )
        ]
        metrics = registry.get_ops("/metrics")[1].decode().splitlines()
        lines = registry.log_lines()

    assert statuses == [401] * 11 + [429, 401]
    assert {line for line in metrics if line.startswith("registry_logins_refused_total")} == {
        'registry_logins_refused_total{reason="unknown_token"} 6.0',
        'registry_logins_refused_total{reason="wrong_secret"} 5.0',
        'registry_logins_refused_total{reason="locked_out"} 1.0',
        'registry_logins_refused_total{reason="unknown_name"} 1.0',
    }
    (told,) = [line for line in lines if line["event"] == "login.locked_out"]
    assert (told["log.level"], told["address"], told["forwarded"]) == ("warning", "127.0.0.1", False)
    assert len(told["subject"]) == 32
    assert typed not in repr(lines)
    assert dead not in repr(lines)

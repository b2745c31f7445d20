"""What client programs find is what they would have written down themselves."""

from __future__ import annotations

import json
from pathlib import Path

from tests.blackbox.clients.logins import Logins
from tests.running.control_client import Account


def test_both_files_tell_who_acts_on_each_registry(tmp_path: Path) -> None:
    logins = Logins.none_yet(tmp_path / "logins")
    logins.remember("127.0.0.1:5000", Account("ann", "canary"))
    logins.remember("127.0.0.1:5001", Account("bob", "other"))

    expected = {
        "auths": {"127.0.0.1:5000": {"auth": "YW5uOmNhbmFyeQ=="}, "127.0.0.1:5001": {"auth": "Ym9iOm90aGVy"}}
    }
    assert logins.environment["DOCKER_CONFIG"] == str(tmp_path / "logins")
    for file in (logins.environment["REGISTRY_AUTH_FILE"], str(tmp_path / "logins" / "config.json")):
        assert json.loads(Path(file).read_text()) == expected

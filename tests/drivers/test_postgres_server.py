"""The PostgreSQL server of the tests says why it can't be started."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.drivers.postgres_server import PostgresServer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to start it as another user")
@pytest.mark.parametrize("closed", ["programs", "data"])
def test_a_directory_that_its_user_may_not_enter_is_named(closed: str) -> None:
    """As of a clone below what `mktemp -d` made; without a word of it, every test that needs the server is an error."""
    with tempfile.TemporaryDirectory(prefix="entrepot-pg-") as place:
        directories = {name: Path(place) / name / "inner" for name in ("programs", "data")}
        for directory in directories.values():
            directory.mkdir(parents=True)
        Path(place).chmod(0o755)
        (directories["programs"] / "initdb").symlink_to("/bin/true")
        (Path(place) / closed).chmod(0o700)

        with pytest.raises(pytest.fail.Exception, match=f"may not enter {place}/{closed}: chmod"):
            PostgresServer(directories["programs"], directories["data"]).start()

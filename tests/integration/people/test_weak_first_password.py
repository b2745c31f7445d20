"""A first password that is too weak is refused before anything is made."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_a_weak_first_password_leaves_nothing_behind(tmp_path: Path) -> None:
    """Else the next start would find a registry that was half made by settings that nobody meant."""
    data, address = tmp_path / "data", f"127.0.0.1:{find_free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}

    done = subprocess.run(
        [sys.executable, "-m", "entrepot", "serve", "--data", str(data), "--listen", address],
        env=environment | {"ENTREPOT_ADMIN_PASSWORD": "short"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    first, last = done.stderr.splitlines()
    assert done.returncode == 2
    assert first.startswith("entrepot: admin.password: the password is not accepted: ")
    assert last == "Nothing was started or changed."
    assert not data.exists()

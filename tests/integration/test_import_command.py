"""The commands themselves: what is refused before anything is opened, and with which exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.passwords import HashCost, PasswordHashing
from entrepot.bootstrap import open_stores
from entrepot.ops.command_stores import require_owner_of_storage
from entrepot.ops.errors import CommandError
from entrepot.settings import metadata_path, storage_root
from tests.asgi.services import scratch_settings
from tests.integration.importing import TreeWriter
from tests.integration.test_commands import run

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("import",), "give one of --from"),
        (("import", "--from", "https://a.example", "--from-oci-layout", "x"), "give one of --from"),
        (("import", "--from-distribution", "absent"), "rootdirectory"),
        (("import", "--from-docker-archive", "absent"), "can't be read"),
        (("import", "--from", "https://a.example", "--username", "ann"), "belong together"),
        (("import", "--from-distribution", "x", "--rename", "old"), "old=new"),
        (("import", "--from-distribution", "x", "--parallel", "0"), "1 to 64"),
        (("export", "--to", "out"), "--all"),
        (("export", "app", "--to", "out", "--tar", "--link"), "--tar or --link"),
        (("export", "Not/A/Name", "--to", "out"), "lower-case"),
    ],
)
def test_what_can_not_be_meant_ends_with_2(
    tmp_path: Path,
    arguments: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what to write instead, and before there is a database."""
    from entrepot.observability import logging
    from entrepot.ops.application import run_command_line
    from entrepot.ops.images import export_images, import_images

    def keep_the_log_of_this_process(*_: object) -> None:
        assert callable(logging.configure_logging)

    for module in (import_images, export_images):
        monkeypatch.setattr(module, "configure_logging", keep_the_log_of_this_process)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENTREPOT_CONFIG", os.devnull)

    code = run_command_line([*arguments, "--data", str(tmp_path / "data")])

    assert (code, reason in capsys.readouterr().err) == (2, True)
    assert not (tmp_path / "data").exists()


def test_a_log_line_of_the_stores_is_not_in_the_report(tmp_path: Path) -> None:
    """The first import makes the schema; standard output holds JSON and nothing else."""
    tree = TreeWriter(tmp_path / "tree")
    tree.add_image("app", "v1")

    result = run(
        tmp_path, "import", "--from-distribution", str(tree.root), "--data", f"{tmp_path}/data", "-o", "json"
    )

    assert (result.returncode, result.stdout[:1], result.stdout[-2:]) == (0, "{", "}\n")


def test_the_commands_write_as_the_user_of_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of another user, such as root, could not be read by the registry: the message says whom to become."""
    settings = scratch_settings(tmp_path)
    require_owner_of_storage(settings)
    storage_root(settings).mkdir(parents=True)
    require_owner_of_storage(settings)
    owner = storage_root(settings).stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(CommandError, match="sudo -u") as refused:
        require_owner_of_storage(settings)

    assert refused.value.exit_code == 2


def test_what_an_import_makes_belongs_to_the_first_administrator(tmp_path: Path) -> None:
    """At once where there is one, as beside a registry that runs; without people it waits for the first start."""
    tree = TreeWriter(tmp_path / "tree")
    tree.add_image("team/app", "v1")
    known, nobody = scratch_settings(tmp_path / "known"), scratch_settings(tmp_path / "nobody")
    asyncio.run(_make_administrator(known))

    ended = [
        run(tmp_path, "import", "--from-distribution", str(tree.root), "--data", str(data))
        for data in (known.data.directory, nobody.data.directory)
    ]

    assert [result.returncode for result in ended] == [0, 0]
    assert _owners(known) == [("team", "admin", "project-admin")]
    assert _owners(nobody) == [("team", None, None)]


async def _make_administrator(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        with contextlib.closing(PasswordHashing(HashCost(8, 1, 1))) as hashing:
            policy = PasswordPolicy(PasswordLimits())
            await ensure_first_administrator(stores.metadata, hashing, policy, settings.data.directory)


def _owners(settings: Settings) -> list[tuple[str, str | None, str | None]]:
    with contextlib.closing(sqlite3.connect(metadata_path(settings))) as connection:
        return connection.execute(
            "SELECT p.name, s.name, a.role FROM projects p LEFT JOIN subjects s ON s.id = p.owner_id "
            "LEFT JOIN role_assignments a ON a.project_id = p.id"
        ).fetchall()

"""Where a backup may go: never into what it backs up, and never to a place that nobody chose."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrepot.ops.backup.options import BackupChoice, rate_of
from entrepot.ops.backup.target import _path_of, _require_apart, _require_other_keys
from entrepot.ops.errors import CommandError
from entrepot.settings import Settings, load_settings


def settings(**flags: str | bool) -> Settings:
    """Return settings with these flags, as `section__key`."""
    named = {key.replace("__", "."): value for key, value in flags.items()}
    return load_settings(environment={}, user_id=0, flags={"data.directory": "/data", **named}).settings


def test_paths_are_read_in_their_three_forms() -> None:
    """A URL with a host is a mistake that would otherwise lead to a local directory."""
    assert _path_of("/mnt/backup") == Path("/mnt/backup")
    assert _path_of("file:///mnt/with%20space") == Path("/mnt/with space")
    assert _path_of("backups").is_absolute()
    for wrong in ("file://host/backup", "ftp://host/backup"):
        with pytest.raises(CommandError):
            _path_of(wrong)


@pytest.mark.parametrize("root", ["/data/storage", "/data/storage/backups", "/data", "/"])
def test_a_directory_that_overlaps_the_storage_is_refused(root: str) -> None:
    with pytest.raises(CommandError, match="overlap"):
        _require_apart(Path(root), Path("/data/storage"))


def test_a_directory_beside_the_storage_is_fine() -> None:
    _require_apart(Path("/data/storage-backups"), Path("/data/storage"))


def test_the_registrys_own_keys_in_a_bucket_are_left_alone() -> None:
    """Its sweep of orphans would remove the blobs of a backup that lies among its own."""
    own = settings(storage__driver="s3", storage__s3__bucket="b", storage__s3__prefix="registry/")

    for prefix in ("registry/", "registry/blobs/x/"):
        with pytest.raises(CommandError, match="its own blobs"):
            _require_other_keys(own, "b", prefix)
    for bucket, prefix in (("b", "backups/"), ("b", ""), ("b", "registry/backups/"), ("other", "registry/")):
        _require_other_keys(own, bucket, prefix)


def test_a_passphrase_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    """Without the end of the line, which editors add; an empty one is a mistake."""
    file, config = tmp_path / "passphrase", tmp_path / "entrepot.toml"
    config.write_text('[backup]\ntarget = "/mnt/backup"\npassphrase = "from settings"\n')
    file.write_text("from the file\r\nsecond line\n")

    chosen = BackupChoice.of(config, tmp_path, "", file)
    assert (chosen.target, chosen.passphrase) == ("/mnt/backup", "from the file")
    assert BackupChoice.of(config, tmp_path, "/other", None).passphrase == "from settings"
    file.write_text("\n")
    with pytest.raises(CommandError, match="empty"):
        BackupChoice.of(config, tmp_path, "", file)
    with pytest.raises(CommandError, match="no place"):
        BackupChoice.of(None, tmp_path, "", None)


def test_rates_are_sizes_per_second() -> None:
    assert rate_of("50MiB") == 50 * 1024 * 1024
    assert rate_of("") is None
    with pytest.raises(CommandError):
        rate_of("fast")

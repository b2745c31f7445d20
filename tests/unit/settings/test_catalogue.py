"""The table of settings, the values derived from them, and their way from parent to children."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from entrepot.settings import (
    CacheSettings,
    DataSettings,
    HttpSettings,
    ListenAddress,
    LogSettings,
    MetadataSettings,
    OpsSettings,
    S3Settings,
    Secret,
    Settings,
    SettingsError,
    StorageSettings,
    TlsSettings,
    changed_keys,
    dump_settings,
    flatten_settings,
    http_listen,
    metadata_path,
    metadata_url,
    ops_listen,
    parse_dumped_settings,
    public_url,
    read_settings_file,
    setting_documentation,
    setting_fields,
    show_value,
    storage_root,
    uses_postgresql,
    uses_tls,
    write_settings_file,
)
from entrepot.settings.catalogue import build_settings

PLAIN = Settings(data=DataSettings(directory=Path("/data")))
FULL = Settings(
    data=DataSettings(directory=Path("/data")),
    http=HttpSettings(listen="[::]:443", external_url="https://registry.example", drain_delay_seconds=2.5),
    ops=OpsSettings(listen="[::1]:9000"),
    tls=TlsSettings(certificate="/c.pem", key="/k.pem", min_version="1.3"),
    metadata=MetadataSettings(url=Secret("postgresql://u:canary@db/entrepot"), pool_size=3),
    storage=StorageSettings(
        driver="s3",
        s3=S3Settings(bucket="blobs", access_key="id", secret_key=Secret("canary"), path_style=False),
    ),
    cache=CacheSettings(small_blob_bytes=0),
    log=LogSettings(level="debug", format="console"),
)


def test_settings_are_frozen() -> None:
    """Nothing can change a setting after the start."""
    with pytest.raises(AttributeError):
        PLAIN.http.listen = "127.0.0.1:1"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # under test


def test_every_setting_says_what_it_is_and_why_its_default() -> None:
    """No row of the table lacks a description, a reason or a full stop."""
    rows = setting_documentation()

    assert [row.key for row in rows] == list(flatten_settings(PLAIN))
    assert [row.key for row in rows if not (row.description.endswith(".") and row.reason.endswith("."))] == []


def test_variables_are_distinct() -> None:
    """No two keys share a variable, and no secret's file variable is another key's variable."""
    names = [field.environment_variable for field in setting_fields()]
    names += [f"{field.environment_variable}_FILE" for field in setting_fields() if field.is_secret]

    assert len(set(names)) == len(names)


def test_defaults_keep_their_own_range() -> None:
    """Every default lies within the limits that are asked of others."""
    outside = [
        field.key
        for field in setting_fields()
        if isinstance(field.default, (int, float))
        and not (field.setting.minimum or 0) <= field.default <= (field.setting.maximum or float("inf"))
    ]

    assert outside == []


def test_rows_read_as_documented() -> None:
    """Cells of the table are ready to print: sizes with unit, choices spelled out, secrets marked."""
    rows = {row.key: row for row in setting_documentation()}

    assert rows["cache.small_blob_bytes"].default == "32MiB"
    assert rows["log.level"].value_type == "debug or info or warning or error"
    assert rows["storage.s3.path_style"].default == "true"
    assert rows["http.drain_timeout_seconds"].default == "30"
    assert rows["storage.s3.secret_key"].environment_variable == "ENTREPOT_STORAGE_S3_SECRET_KEY"
    assert [row.key for row in rows.values() if row.secret] == [
        "metadata.url",
        "storage.s3.secret_key",
        "admin.password",
        "secrets.master_key",
        "backup.passphrase",
        "backup.s3.secret_key",
    ]


def test_s27_secrets_are_masked_when_shown() -> None:
    """Neither the repr of the tree nor the shown value of any key holds a secret."""
    values = flatten_settings(FULL)
    shown = [show_value(field, values[field.key]) for field in setting_fields()]

    assert not any("canary" in text for text in [*shown, repr(FULL), str(FULL)])
    assert shown.count("********") == 2


def test_flattening_and_building_are_inverse() -> None:
    """The flat table holds everything the tree holds."""
    assert build_settings(flatten_settings(FULL)) == FULL
    assert flatten_settings(FULL)["storage.s3.bucket"] == "blobs"


@pytest.mark.parametrize("settings", [PLAIN, FULL])
def test_settings_survive_the_way_to_a_child(settings: Settings) -> None:
    """What the parent dumps the child reads back, secrets included."""
    assert parse_dumped_settings(dump_settings(settings)) == settings


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "can't be read"),
        (b"[]", "can't be read"),
        (b"{}", "come from another version"),
        (dump_settings(PLAIN).replace(b'"1.2"', b'"1.1"'), "hold a bad value: '1.1' is not one of 1.2, 1.3"),
        (dump_settings(PLAIN).replace(b'"log.level"', b'"log.livel"'), "they differ in log.level, log.livel"),
    ],
)
def test_a_damaged_dump_is_refused(content: bytes, expected: str) -> None:
    """A child does not guess at settings it can't read."""
    with pytest.raises(SettingsError) as caught:
        parse_dumped_settings(content)

    assert expected in caught.value.problems[0]


def test_s27_the_file_for_children_is_for_its_owner_only(tmp_path: Path) -> None:
    """The file has mode 0600 whatever stood there before, is replaced whole, and leaves nothing beside it."""
    file = tmp_path / "settings.json"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)

    write_settings_file(PLAIN, file)
    write_settings_file(FULL, file)

    assert read_settings_file(file) == FULL
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_file_for_children_is_named(tmp_path: Path) -> None:
    """A child that finds no file says which."""
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        read_settings_file(tmp_path / "none")


def test_changed_keys() -> None:
    """A reload can tell what changed."""
    other = msgspec.structs.replace(
        PLAIN, log=LogSettings(level="debug"), cache=CacheSettings(small_blob_bytes=1)
    )

    assert changed_keys(PLAIN, other) == ("cache.small_blob_bytes", "log.level")
    assert changed_keys(FULL, FULL) == ()


def test_derived_values_of_an_embedded_node() -> None:
    """Without any setting everything lies below the data directory and listens on loopback."""
    assert http_listen(PLAIN) == ListenAddress("127.0.0.1", 5000)
    assert ops_listen(PLAIN) == ListenAddress("127.0.0.1", 5080)
    assert metadata_path(PLAIN) == Path("/data/metadata/entrepot.db")
    assert metadata_url(PLAIN) == "sqlite:///data/metadata/entrepot.db"
    assert storage_root(PLAIN) == Path("/data/storage")
    assert public_url(PLAIN) == "http://127.0.0.1:5000"
    assert (uses_postgresql(PLAIN), uses_tls(PLAIN)) == (False, False)


def test_derived_values_of_a_node_with_everything_set() -> None:
    """Settings given win over derived places."""
    assert ops_listen(FULL) == ListenAddress("::1", 9000)
    assert metadata_url(FULL) == "postgresql://u:canary@db/entrepot"
    assert public_url(FULL) == "https://registry.example"
    assert (uses_postgresql(FULL), uses_tls(FULL)) == (True, True)
    assert storage_root(msgspec.structs.replace(PLAIN, storage=StorageSettings(root="/blobs"))) == Path(
        "/blobs"
    )


@pytest.mark.parametrize(
    ("listen", "expected"), [("0.0.0.0:81", "http://127.0.0.1:81"), ("[::]:81", "http://[::1]:81")]
)
def test_a_wildcard_is_shown_as_loopback(listen: str, expected: str) -> None:
    """Nobody can connect to a wildcard, so the address shown is one that works on this machine."""
    assert public_url(msgspec.structs.replace(PLAIN, http=HttpSettings(listen=listen))) == expected

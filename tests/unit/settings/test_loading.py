"""Which source wins, what origin a value has, and that everything doubtful is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrepot.settings import (
    LoadedSettings,
    Origin,
    Secret,
    SettingsError,
    flatten_settings,
    load_settings,
)
from entrepot.settings.loading import default_data_directory


def load(
    tmp_path: Path,
    toml: str | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, str | bool] | None = None,
) -> LoadedSettings:
    """Load with nothing taken from this machine."""
    config_file = None
    if toml is not None:
        config_file = tmp_path / "entrepot.toml"
        config_file.write_text(toml, encoding="utf-8")
    return load_settings(
        environment=environment or {},
        user_id=0,
        config_file=config_file,
        flags=flags or {},
        default_config_file=tmp_path / "none.toml",
    )


def problems_of(
    tmp_path: Path,
    toml: str | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, str | bool] | None = None,
) -> tuple[str, ...]:
    """Return what loading complains of, with the scratch directory's name taken out."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, toml, environment, flags)
    return tuple(problem.replace(str(tmp_path), "TMP") for problem in caught.value.problems)


def test_defaults_stand_when_no_source_says_anything(tmp_path: Path) -> None:
    """Without a file, variables or flags every value is a default."""
    loaded = load(tmp_path)

    assert set(loaded.origins.values()) == {Origin("default")}
    assert loaded.config_file is None
    assert loaded.settings.data.directory == Path("/var/lib/entrepot")


def test_later_sources_win(tmp_path: Path) -> None:
    """Flags beat the environment, which beats the file, which beats defaults; the origin tells which."""
    toml = '[http]\nlisten = "127.0.0.1:1001"\ndrain_delay_seconds = 1\n[log]\nlevel = "debug"\n'
    environment = {"ENTREPOT_HTTP_LISTEN": "127.0.0.1:1002", "ENTREPOT_HTTP_DRAIN_DELAY_SECONDS": "2.5"}

    loaded = load(tmp_path, toml, environment, {"http.listen": "127.0.0.1:1003"})

    assert loaded.settings.http.listen == "127.0.0.1:1003"
    assert loaded.settings.http.drain_delay_seconds == 2.5
    assert loaded.settings.log.level == "debug"
    file = str(tmp_path / "entrepot.toml")
    keys = ("http.listen", "http.drain_delay_seconds", "log.level", "log.format")
    assert [str(loaded.origins[key]) for key in keys] == [
        "flag http.listen",
        "environment ENTREPOT_HTTP_DRAIN_DELAY_SECONDS",
        f"file {file}",
        "default",
    ]


def test_the_file_is_found_by_flag_then_variable_then_default_place(tmp_path: Path) -> None:
    """``--config`` beats ENTREPOT_CONFIG, which beats the file at the usual place."""
    places = [tmp_path / name for name in ("flag.toml", "variable.toml", "usual.toml")]
    for number, place in enumerate(places, start=1001):
        place.write_text(f'[http]\nlisten = "127.0.0.1:{number}"\n', encoding="utf-8")
    environment = {"ENTREPOT_CONFIG": str(places[1])}

    def listen(environment: dict[str, str], config_file: Path | None) -> str:
        loaded = load_settings(
            environment=environment, user_id=0, config_file=config_file, default_config_file=places[2]
        )
        return loaded.settings.http.listen

    assert listen(environment, places[0]) == "127.0.0.1:1001"
    assert listen(environment, None) == "127.0.0.1:1002"
    assert listen({}, None) == "127.0.0.1:1003"


@pytest.mark.parametrize(
    ("environment", "user_id", "expected"),
    [
        ({"XDG_DATA_HOME": "/x", "HOME": "/home/a"}, 0, "/var/lib/entrepot"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/home/a"}, 1000, "/x/entrepot"),
        ({"XDG_DATA_HOME": "x", "HOME": "/home/a"}, 1000, "/home/a/.local/share/entrepot"),
        ({"HOME": "/home/a"}, 1000, "/home/a/.local/share/entrepot"),
        ({"XDG_DATA_HOME": "/x"}, 1000, "/x/entrepot"),
        ({}, 1000, "/var/lib/entrepot"),
    ],
)
def test_data_directory_depends_on_who_starts(
    environment: dict[str, str], user_id: int, expected: str
) -> None:
    """Root keeps data system-wide, others in their own data directory, relative XDG paths being ignored."""
    assert default_data_directory(environment, user_id) == Path(expected)


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            '[http]\nlistn = "127.0.0.1:1"\n',
            "http.listn (file TMP/entrepot.toml): no such setting; did you mean http.listen?",
        ),
        ("[entirely]\nelse = 1\n", "entirely.else (file TMP/entrepot.toml): no such setting"),
        ("[nothing]\n", "nothing (file TMP/entrepot.toml): no such setting"),
        (
            '"http.listen" = "127.0.0.1:1"\n',
            '"http.listen" (file TMP/entrepot.toml): no such setting; did you mean http.listen?',
        ),
        ("http = 5\n", "http (file TMP/entrepot.toml): expected a table [http], found a single value"),
        (
            "[http.listen]\na = 1\n",
            "http.listen.a (file TMP/entrepot.toml): no such setting; did you mean http.listen?",
        ),
        (
            "[http]\nlisten = 5000\n",
            "http.listen (file TMP/entrepot.toml): expected a string, found a whole number",
        ),
        (
            "[http]\ndrain_timeout_seconds = true\n",
            "http.drain_timeout_seconds (file TMP/entrepot.toml): expected a number, found true",
        ),
        (
            "[metadata]\npool_size = 1.5\n",
            "metadata.pool_size (file TMP/entrepot.toml): expected a whole number, found a fraction",
        ),
        (
            '[metadata]\npool_size = "5"\n',
            "metadata.pool_size (file TMP/entrepot.toml): expected a whole number, found a string",
        ),
        (
            '[access]\ninsecure_anonymous = "yes"\n',
            "access.insecure_anonymous (file TMP/entrepot.toml): expected true or false, found a string",
        ),
        (
            "[cache]\nsmall_blob_bytes = [1]\n",
            (
                "cache.small_blob_bytes (file TMP/entrepot.toml): "
                "expected a size as 8MiB or a number of bytes, found a list"
            ),
        ),
        (
            "[uploads]\nlease_seconds = nan\n",
            "uploads.lease_seconds (file TMP/entrepot.toml): nan is not a finite number",
        ),
        (
            "[uploads]\nlease_seconds = 1\n",
            "uploads.lease_seconds (file TMP/entrepot.toml): 1 is too small; the least is 5",
        ),
        (
            '[storage.s3]\npart_size_bytes = "1MiB"\n',
            "storage.s3.part_size_bytes (file TMP/entrepot.toml): 1MiB is too small; the least is 5MiB",
        ),
        (
            "[metadata]\npool_size = 501\n",
            "metadata.pool_size (file TMP/entrepot.toml): 501 is too large; the most is 500",
        ),
        (
            '[tls]\nmin_version = "1.1"\n',
            "tls.min_version (file TMP/entrepot.toml): '1.1' is not one of 1.2, 1.3",
        ),
        (
            '[log]\nlevel = "trace"\n',
            "log.level (file TMP/entrepot.toml): 'trace' is not one of debug, info, warning, error",
        ),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, toml: str, expected: str) -> None:
    """Unknown keys, wrong types and values out of range are refused, naming key and file."""
    assert problems_of(tmp_path, toml) == (expected,)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "file TMP/entrepot.toml can't be read: No such file or directory"),
        (b"\xff", "file TMP/entrepot.toml is not UTF-8 text"),
        (b"[http", "file TMP/entrepot.toml is not TOML: Expected ']' at the end of a table declaration"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, expected: str) -> None:
    """A file that was asked for and can't be used stops the start."""
    file = tmp_path / "entrepot.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(environment={}, user_id=0, config_file=file)

    assert caught.value.problems[0].replace(str(tmp_path), "TMP").startswith(expected)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"ENTREPOT_HTTP_LISTN": "x"},
            "ENTREPOT_HTTP_LISTN (environment): no such variable; did you mean ENTREPOT_HTTP_LISTEN?",
        ),
        ({"ENTREPOT_PORT": "tcp://10.0.0.1:5000"}, "ENTREPOT_PORT (environment): no such variable"),
        (
            {"ENTREPOT_STORAGE_S3_SECRET_KEY": "a", "ENTREPOT_STORAGE_S3_SECRET_KEY_FILE": "/b"},
            (
                "storage.s3.secret_key: both ENTREPOT_STORAGE_S3_SECRET_KEY and "
                "ENTREPOT_STORAGE_S3_SECRET_KEY_FILE are set; keep one"
            ),
        ),
        (
            {"ENTREPOT_ACCESS_INSECURE_ANONYMOUS": "maybe"},
            (
                "access.insecure_anonymous (environment ENTREPOT_ACCESS_INSECURE_ANONYMOUS): "
                "'maybe' is neither true nor false"
            ),
        ),
        (
            {"ENTREPOT_METADATA_POOL_SIZE": "-1"},
            "metadata.pool_size (environment ENTREPOT_METADATA_POOL_SIZE): '-1' is not a whole number",
        ),
        (
            {"ENTREPOT_UPLOADS_LEASE_SECONDS": "inf"},
            "uploads.lease_seconds (environment ENTREPOT_UPLOADS_LEASE_SECONDS): inf is not a finite number",
        ),
        (
            {"ENTREPOT_CACHE_SMALL_BLOB_BYTES": "8mib"},
            (
                "cache.small_blob_bytes (environment ENTREPOT_CACHE_SMALL_BLOB_BYTES): '8mib' is not a size; "
                "write bytes or a whole number with KiB, MiB, GiB, TiB, kB, MB, GB or TB"
            ),
        ),
        (
            {"ENTREPOT_METADATA_URL_FILE": "/nonexistent/url"},
            (
                "metadata.url (environment ENTREPOT_METADATA_URL_FILE): "
                "file /nonexistent/url can't be read: No such file or directory"
            ),
        ),
    ],
)
def test_a_fault_in_the_environment_is_named(
    tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    """Unknown variables and bad values are refused, naming the variable."""
    assert problems_of(tmp_path, environment=environment) == (expected,)


def test_variables_kubernetes_adds_for_a_service_are_ignored(tmp_path: Path) -> None:
    """A service called entrepot makes Kubernetes set ENTREPOT_PORT and the like; they stop nothing."""
    environment = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "ENTREPOT_SERVICE_HOST": "10.0.0.2",
        "ENTREPOT_SERVICE_PORT": "5000",
        "ENTREPOT_SERVICE_PORT_HTTP": "5000",
        "ENTREPOT_PORT": "tcp://10.0.0.2:5000",
        "ENTREPOT_PORT_5000_TCP": "tcp://10.0.0.2:5000",
        "ENTREPOT_PORT_5000_TCP_ADDR": "10.0.0.2",
        "ENTREPOT_OPS_SERVICE_HOST": "10.0.0.3",
    }

    assert load(tmp_path, environment=environment).settings == load(tmp_path).settings
    assert problems_of(tmp_path, environment={**environment, "ENTREPOT_NOTHING": "1"}) == (
        "ENTREPOT_NOTHING (environment): no such variable",
    )


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """``…_FILE`` names a file whose content, less the final newline, is the secret."""
    file = tmp_path / "secret"
    file.write_text("pass word \n", encoding="utf-8")
    environment = {"ENTREPOT_STORAGE_S3_SECRET_KEY_FILE": str(file), "ENTREPOT_STORAGE_S3_ACCESS_KEY": "a"}

    loaded = load(tmp_path, environment=environment)

    assert loaded.settings.storage.s3.secret_key == Secret("pass word ")
    assert loaded.origins["storage.s3.secret_key"] == Origin(
        "environment", "ENTREPOT_STORAGE_S3_SECRET_KEY_FILE"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\n", "is empty"), (b"\xff", "is not UTF-8 text"), (b"a" * 65537, "is larger than")],
)
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    """An empty file would mean no password at all, so it is a fault."""
    file = tmp_path / "secret"
    file.write_bytes(content)

    (problem,) = problems_of(tmp_path, environment={"ENTREPOT_METADATA_URL_FILE": str(file)})

    assert f"file TMP/secret {expected}" in problem


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            {"http.listen": "5000"},
            "http.listen (flag http.listen): '5000' is not an address; write ADDRESS:PORT,",
        ),
        ({"data.directory": "here"}, "data.directory (flag data.directory): 'here' is not an absolute path;"),
        (
            {"passwords.dictionary_file": "words.txt"},
            "passwords.dictionary_file (flag passwords.dictionary_file): 'words.txt' is not an absolute path;",
        ),
        ({"htp.listen": "x"}, "htp.listen (flag): no such setting; did you mean http.listen?"),
        ({"tls.certificate": "/c.pem"}, "tls.key (default): must be set, since tls.certificate is"),
        ({"tls.key": "/k.pem"}, "tls.certificate (default): must be set, since tls.key is"),
        (
            {"tls.certificate": "c.pem", "tls.key": "/k"},
            "tls.certificate (flag tls.certificate): 'c.pem' is not an",
        ),
        ({"storage.driver": "s3"}, "storage.s3.bucket (default): must be set, since storage.driver is s3"),
        (
            {"storage.s3.bucket": "b"},
            "storage.driver (default): is filesystem although storage.s3.bucket is set",
        ),
        (
            {"storage.driver": "s3", "storage.s3.bucket": "b", "storage.s3.access_key": "a"},
            "storage.s3.secret_key (default): must be set, since storage.s3.access_key is",
        ),
        (
            {"storage.driver": "s3", "storage.s3.bucket": "b", "storage.s3.secret_key": "a"},
            "storage.s3.access_key (default): must be set, since storage.s3.secret_key is",
        ),
        (
            {"backup.target": "backups"},
            "backup.target (flag backup.target): 'backups' is neither an absolute path",
        ),
        (
            {"backup.s3.access_key": "a"},
            "backup.s3.secret_key (default): must be set, since backup.s3.access_key is",
        ),
        (
            {"backup.s3.secret_key": "a"},
            "backup.s3.access_key (default): must be set, since backup.s3.secret_key is",
        ),
        (
            {"backup.s3.endpoint": "seaweed:8333"},
            "backup.s3.endpoint (flag backup.s3.endpoint): 'seaweed:8333' is not an http://",
        ),
        (
            {"storage.driver": "s3", "storage.s3.bucket": "b", "storage.s3.prefix": "/p/"},
            "storage.s3.prefix (flag storage.s3.prefix): '/p/' begins with a slash",
        ),
        (
            {"storage.driver": "s3", "storage.s3.bucket": "b", "storage.s3.endpoint": "seaweed:8333"},
            "storage.s3.endpoint (flag storage.s3.endpoint): 'seaweed:8333' is not an http:// or",
        ),
        (
            {"storage.driver": "s3", "storage.s3.bucket": "b", "storage.s3.prefix": "p"},
            "storage.s3.prefix (flag storage.s3.prefix): 'p' must end with a slash",
        ),
        ({"metadata.url": "mysql://h/d"}, "metadata.url (flag metadata.url): must begin with postgresql://"),
        (
            {"metadata.url": "postgresql://"},
            "metadata.url (flag metadata.url): must begin with postgresql://",
        ),
        (
            {"http.external_url": "registry.example"},
            "http.external_url (flag http.external_url): 'registry.example'",
        ),
        (
            {"http.external_url": "https://a/b"},
            "http.external_url (flag http.external_url): 'https://a/b' has a path",
        ),
        (
            {"http.external_url": "https://u:p@a"},
            "http.external_url (flag http.external_url): an address must not",
        ),
        (
            {"http.external_url": "https://a:99999"},
            "http.external_url (flag http.external_url): Port out of range",
        ),
        (
            {"http.external_url": "http://a", "tls.certificate": "/c", "tls.key": "/k"},
            "http.external_url (flag http.external_url): begins with http:// while tls.certificate",
        ),
        (
            {"http.listen": "127.0.0.1:65500"},
            "ops.listen (default): must be set, since the public port 65500",
        ),
        (
            {"ops.listen": "127.0.0.1:5000"},
            "ops.listen (flag ops.listen): 127.0.0.1:5000 is taken by http.listen",
        ),
        ({"ops.listen": "[::]:5000"}, "ops.listen (flag ops.listen): [::]:5000 is taken by http.listen"),
        ({"storage.root": "\x00"}, "storage.root (flag storage.root): holds a NUL character"),
    ],
)
def test_rules_across_settings(tmp_path: Path, flags: dict[str, str | bool], expected: str) -> None:
    """Texts of a wrong shape and settings that contradict each other are refused before anything starts."""
    (problem,) = problems_of(tmp_path, flags=flags)

    assert problem.startswith(expected)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    """One start shows every fault of every source, so nobody has to mend them one by one."""
    problems = problems_of(
        tmp_path,
        '[http]\nlistn = "x"\n[log]\nlevel = "trace"\n',
        {"ENTREPOT_NO_SUCH": "1", "ENTREPOT_STORAGE_DRIVER": "s3"},
        {"http.listen": "nowhere"},
    )

    assert [problem.split(" ")[0] for problem in problems] == [
        "http.listn",
        "log.level",
        "ENTREPOT_NO_SUCH",
        "http.listen",
        "storage.s3.bucket",
    ]


def test_s27_no_problem_repeats_a_secret(tmp_path: Path) -> None:
    """A secret of a wrong shape is refused without being shown."""
    canary = "canary-7f3a"
    for source in (
        problems_of(tmp_path, f'[metadata]\nurl = "mysql://u:{canary}@h/d"\n'),
        problems_of(tmp_path, f'[storage.s3]\nsecret_key = ["{canary}"]\n'),
        problems_of(tmp_path, environment={"ENTREPOT_METADATA_URL": f"{canary}\x00"}),
    ):
        assert canary not in " ".join(source)


def test_every_variable_sets_exactly_its_own_key(tmp_path: Path) -> None:
    """Setting any one variable changes the origin of its key and of no other."""
    loaded = load(tmp_path)
    for key in flatten_settings(loaded.settings):
        name = "ENTREPOT_" + key.upper().replace(".", "_")
        try:
            origins = load(tmp_path, environment={name: "/x"}).origins
        except SettingsError as error:
            assert key in error.problems[0]  # noqa: PT017 - many keys refuse this text, which is as good
        else:
            assert [k for k, origin in origins.items() if origin.kind == "environment"] == [key]


@pytest.mark.parametrize(
    "password",
    ["pa/ss", "1/2", "pa?ss", "12?34", "pa#ss", "12#34", "p@ss", "1@2/3", "a[b", "a/b@c", "a?b=c@d"],
)
def test_s27_an_address_of_the_database_that_can_not_be_read_is_refused_and_not_repeated(
    tmp_path: Path, password: str
) -> None:
    """The driver would try to connect elsewhere, or quote a part of the password in its complaint."""
    environment = {"ENTREPOT_METADATA_URL": f"postgresql://ann:{password}@db.example.com:5432/e"}

    with pytest.raises(SettingsError) as raised:
        load_settings(environment=environment, user_id=0, default_config_file=tmp_path / "none")

    assert "can't be read as postgresql://" in str(raised.value)
    assert password not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/e",
        "postgresql:///e?host=/run/postgresql&port=5433",
        "postgresql://ann:p%40s%2Fs@db:5432/e?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://ann:colon:dollar$@[2001:db8::1]:5432/e",
        "postgresql://ann@one:5432,two:5433/e?target_session_attrs=primary",
        "postgresql://%2Frun%2Fpostgresql/e",
        "postgresql:///e?user=a@b&password=c@d",
    ],
)
def test_addresses_that_the_driver_reads_are_taken(tmp_path: Path, url: str) -> None:
    environment = {"ENTREPOT_METADATA_URL": url}

    loaded = load_settings(environment=environment, user_id=0, default_config_file=tmp_path / "none")

    assert loaded.settings.metadata.url.reveal() == url

"""The real ``entrepot`` command: output, exit codes, and that a command loads no more than it needs."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.running.free_ports import find_free_pair

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.drivers.s3_server import S3Server

ENTREPOT = [sys.executable, "-m", "entrepot"]


def clean_environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nothing of this machine is set or read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
    return {**kept, "ENTREPOT_CONFIG": str(empty_config(tmp_path)), **more}


def empty_config(tmp_path: Path) -> Path:
    """Return a file of settings that sets nothing, so that the machine's own is not read."""
    file = tmp_path / "empty.toml"
    file.touch()
    return file


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*ENTREPOT, *arguments],
        env=clean_environment(tmp_path, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def free_port() -> int:
    """Return a port that is free now, and whose ops neighbour is too."""
    return find_free_pair(80)


def find(answer: dict[str, Any], check: str) -> tuple[str, str]:
    """Return status and message of one finding."""
    (finding,) = [finding for finding in answer["findings"] if finding["check"] == check]
    return finding["status"], finding["message"]


@pytest.mark.parametrize("arguments", [("completion", "bash"), ("version",)], ids=["long", "short"])
def test_output_that_nobody_reads_ends_a_command_without_a_word(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """As `entrepot completion bash | head -1` does, whether the output fills the pipe or waits for the end."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [*ENTREPOT, *arguments]
    environment = clean_environment(tmp_path)
    with os.fdopen(writing) as unread:
        done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, env=environment, check=False)

    assert (done.returncode, done.stderr) == (141, b"")


def test_version_for_programs(tmp_path: Path) -> None:
    """``version -o json`` names the product and what it stands on."""
    result = run(tmp_path, "version", "-o", "json")

    versions = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(versions) == ["entrepot", "httptools", "python", "sqlite", "uvloop"]
    assert versions["python"] == sys.version.split()[0]


def test_version_for_people_and_by_the_installed_script(tmp_path: Path) -> None:
    """The script that the wheel installs is the same command line."""
    script = Path(sys.executable).with_name("entrepot")
    by_script = subprocess.run(
        [script, "version"], env=clean_environment(tmp_path), capture_output=True, text=True, check=True
    )

    assert by_script.stdout == run(tmp_path, "version").stdout
    assert re.match(
        r"entrepot +\S+\npython +\S+\nsqlite +\S+\nhttptools +\S+\nuvloop +\S+\n\Z", by_script.stdout
    )


def test_version_loads_neither_servers_nor_drivers(tmp_path: Path) -> None:
    """A command starts fast because it imports only what it uses."""
    program = (
        "import sys; from entrepot.ops.application import run_command_line; "
        "run_command_line(['version']); print(*sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = set(result.stdout.splitlines()[-1].split())
    heavy = {"aiobotocore", "asyncpg", "httptools", "prometheus_client", "structlog", "entrepot.settings"}
    assert "entrepot.ops.version" in loaded
    assert loaded & (heavy | {"uvloop"}) == set()


def test_settings_show_says_what_and_whence(tmp_path: Path) -> None:
    """Each row has key, value and origin; the file, the environment and flags are told apart."""
    config = tmp_path / "my.toml"
    config.write_text('[log]\nlevel = "debug"\n', encoding="utf-8")
    result = run(
        tmp_path,
        *("settings", "show", "--config", str(config), "--listen", "127.0.0.1:6000"),
        ENTREPOT_CACHE_SMALL_BLOB_BYTES="8MiB",
    )

    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert result.returncode == 0
    assert rows["KEY"] == ["VALUE", "ORIGIN"]
    assert rows["log.level"] == ["debug", f"file {config}"]
    assert rows["cache.small_blob_bytes"] == ["8MiB", "environment ENTREPOT_CACHE_SMALL_BLOB_BYTES"]
    assert rows["http.listen"] == ["127.0.0.1:6000", "flag http.listen"]
    assert rows["log.format"] == ["json", "default"]


def test_s27_settings_show_masks_secrets(tmp_path: Path) -> None:
    """Neither form of the listing holds a secret."""
    environment = {
        "ENTREPOT_METADATA_URL": "postgresql://u:canary@h/d",
        "ENTREPOT_STORAGE_S3_ACCESS_KEY": "id",
        "ENTREPOT_STORAGE_S3_SECRET_KEY": "canary",
    }
    text = run(tmp_path, "settings", "show", **environment)
    data = run(tmp_path, "settings", "show", "-o", "json", **environment)

    rows = {row["key"]: row for row in json.loads(data.stdout)["settings"]}
    assert "canary" not in text.stdout + text.stderr + data.stdout + data.stderr
    assert rows["metadata.url"]["value"] == "********"
    assert rows["storage.s3.secret_key"]["secret"] is True
    assert rows["storage.s3.path_style"]["value"] is True


@pytest.mark.parametrize("command", [("serve",), ("settings", "show"), ("migrate",)])
def test_bad_settings_end_with_2_and_name_every_fault(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A command that needs settings starts nothing with bad ones."""
    data = tmp_path / "data"
    result = run(tmp_path, *command, "--data", str(data), ENTREPOT_HTTP_LISTN="x", ENTREPOT_LOG_LEVEL="loud")

    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "entrepot: ENTREPOT_HTTP_LISTN (environment): no such variable; did you mean ENTREPOT_HTTP_LISTEN?",
        (
            "entrepot: log.level (environment ENTREPOT_LOG_LEVEL): "
            "'loud' is not one of debug, info, warning, error"
        ),
        "Nothing was started or changed.",
    ]
    assert not data.exists()


def test_doctor_is_content_with_a_fresh_machine_and_changes_nothing(tmp_path: Path) -> None:
    """On an empty directory and free ports nothing fails, and nothing is left behind."""
    data = tmp_path / "data"
    result = run(
        tmp_path, "doctor", "--data", str(data), "--listen", f"127.0.0.1:{free_port()}", "-o", "json"
    )

    answer = json.loads(result.stdout)
    assert [finding for finding in answer["findings"] if finding["status"] == "fail"] == []
    assert (result.returncode, answer["ok"]) == (0, True)
    assert not data.exists()


def test_doctor_fails_for_a_port_that_another_program_holds(tmp_path: Path) -> None:
    """A foreign listener is a failure with what to do about it, and exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = run(
            tmp_path,
            *("doctor", "--data", str(tmp_path / "data"), "--listen", address, "-o", "json"),
            ENTREPOT_OPS_LISTEN=f"127.0.0.1:{free_port()}",
        )

    answer = json.loads(result.stdout)
    assert (result.returncode, answer["ok"]) == (1, False)
    assert find(answer, "http.listen") == ("fail", f"{address} is in use by another program")


def test_doctor_reports_bad_settings_as_findings(tmp_path: Path) -> None:
    """Doctor doesn't give up on bad settings: they are what it looks for."""
    result = run(tmp_path, "doctor", ENTREPOT_LOG_LEVEL="loud")

    assert result.returncode == 1
    assert "fail  settings        log.level (environment ENTREPOT_LOG_LEVEL): 'loud'" in result.stdout
    assert result.stdout.splitlines()[-1].endswith(", 1 failed")


def make_certificate(directory: Path, name: str, start: str, end: str) -> tuple[Path, Path]:
    """Make a self-signed certificate that is valid from start to end (YYYYMMDD)."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=registry.example", "-addext", "subjectAltName=DNS:registry.example"),
            *("-not_before", f"{start}000000Z", "-not_after", f"{end}000000Z"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.mark.parametrize(
    ("start", "end", "status", "expected"),
    [
        ("20200101", "20990101", "ok", "is valid for"),
        ("20200101", "20210101", "fail", "certificate has expired"),
        ("20980101", "20990101", "fail", "certificate is not yet valid"),
    ],
)
def test_doctor_judges_the_certificate(
    tmp_path: Path, start: str, end: str, status: str, expected: str
) -> None:
    """A certificate out of its time fails before clients find out."""
    certificate, key = make_certificate(tmp_path, "registry", start, end)
    result = run(
        tmp_path,
        *("doctor", "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{free_port()}", "-o", "json"),
        ENTREPOT_TLS_CERTIFICATE=str(certificate),
        ENTREPOT_TLS_KEY=str(key),
    )

    found, message = find(json.loads(result.stdout), "certificate")
    assert found == status
    assert expected in message


def test_doctor_fails_for_a_key_of_another_certificate(tmp_path: Path) -> None:
    """A pair that doesn't fit is named."""
    certificate, _ = make_certificate(tmp_path, "one", "20200101", "20990101")
    _, key = make_certificate(tmp_path, "two", "20200101", "20990101")
    result = run(
        tmp_path,
        *("doctor", "--data", str(tmp_path / "data"), "-o", "json"),
        ENTREPOT_TLS_CERTIFICATE=str(certificate),
        ENTREPOT_TLS_KEY=str(key),
    )

    status, message = find(json.loads(result.stdout), "certificate")
    assert (result.returncode, status) == (1, "fail")
    assert "can't be used together" in message


def test_migrate_makes_the_schema_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    """``--check`` says 1 before and 0 after; doctor sees the schema; running it again changes nothing."""
    data = ("--data", str(tmp_path / "data"))

    before = run(tmp_path, "migrate", "--check", *data)
    existed_after_check = (tmp_path / "data").exists()
    made = run(tmp_path, "migrate", *data)
    after = run(tmp_path, "migrate", "--check", *data)
    again = run(tmp_path, "migrate", *data)
    examined = run(tmp_path, "doctor", *data, "-o", "json")

    assert (before.returncode, existed_after_check) == (1, False)
    assert (made.returncode, after.returncode, again.returncode) == (0, 0, 0)
    assert re.match(r"The schema went from version 0 to [1-9]", made.stdout)
    assert again.stdout == after.stdout.replace("would be", "was")
    assert find(json.loads(examined.stdout), "metadata")[0] == "ok"


def test_migrate_refuses_a_database_that_is_none(tmp_path: Path) -> None:
    """A damaged file is named and left alone, exit code 1."""
    file = tmp_path / "data" / "metadata" / "entrepot.db"
    file.parent.mkdir(parents=True)
    content = b"not a database, but long enough to look at " * 200
    file.write_bytes(content)

    result = run(tmp_path, "migrate", "--data", str(tmp_path / "data"))

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("entrepot: ")
    assert file.read_bytes() == content


@contextmanager
def served(
    tmp_path: Path, *arguments: str, accounts: str = "false"
) -> Generator[tuple[subprocess.Popen[str], list[str]]]:
    """Run ``entrepot serve`` until it is ready; yield the process and its lines so far."""
    process = subprocess.Popen(
        [*ENTREPOT, "serve", *arguments],
        env=clean_environment(tmp_path, ENTREPOT_ACCESS_ACCOUNTS=accounts),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            if '"event":"serve.ready"' in line:
                break
        yield process, lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_serve_greets_warns_runs_and_stops(tmp_path: Path) -> None:
    """The first start says where data lies and how to push; doctor knows the node; SIGTERM ends it with 0.

    The second start finds its data and writes log lines only; what lies on disk is not for others (S27).
    """
    data, port = tmp_path / "data", free_port()
    listen = f"127.0.0.1:{port}"
    with served(tmp_path, "--data", str(data), "--listen", listen, "--insecure-anonymous") as (first, lines):
        examined = run(tmp_path, "doctor", "--data", str(data), "--listen", listen, "-o", "json")
    with served(tmp_path, "--data", str(data), "--listen", listen) as (second, second_lines):
        pass

    answer = json.loads(examined.stdout)
    greeting = [line for line in lines if not line.startswith("{")]
    in_use = "is in use, and the registry of this data directory is running"
    assert "WARNING: access.insecure_anonymous is on: everybody on this machine" in greeting
    assert f"  data      {data}" in greeting
    assert greeting[-2] == f"  docker pull {listen}/demo/hello-world"
    assert greeting[-1].startswith("There are no accounts: everybody may push and pull.")
    assert find(answer, "http.listen") == ("ok", f"{listen} {in_use}")
    assert find(answer, "ops.listen") == ("ok", f"127.0.0.1:{port + 80} {in_use}")
    assert find(answer, "metadata")[0] == "ok"
    assert examined.returncode == 0
    assert [line for line in second_lines if not line.startswith("{")] == []
    assert (first.returncode, second.returncode) == (0, 0)
    assert [stat.S_IMODE((data / name).stat().st_mode) & 0o077 for name in ("run", "metadata")] == [0, 0]


def test_s17_s27_the_first_start_with_accounts_says_where_the_password_is_and_how_to_go_on(
    tmp_path: Path,
) -> None:
    """What it says works as it stands, and takes the file away; nowhere does it say the password itself."""
    data, listen = tmp_path / "data", f"127.0.0.1:{free_port()}"
    file = data / "secrets" / "admin-password"
    with served(tmp_path, "--data", str(data), "--listen", listen, accounts="true") as (process, lines):
        password = file.read_text().strip()
        before = run(tmp_path, "doctor", "--data", str(data), "--listen", listen, "-o", "json", **_ACCOUNTS)
        said = [line for line in lines if not line.startswith("{")]
        login, create = (line.strip() for line in said if " login http" in line or " project create " in line)
        logged_in = _answer_at_a_terminal(
            tmp_path, login, ("New password: ", "Once more: "), "Lantern+Orchard+58"
        )
        created = _answer_at_a_terminal(tmp_path, create, (), "")
        _wait_until_gone(file)
        after = run(tmp_path, "doctor", "--data", str(data), "--listen", listen, "-o", "json", **_ACCOUNTS)
        assert process.stderr is not None

    assert f"whose first password lies in {file}" in "\n".join(said)
    assert f"  docker login {listen} -u admin" in said
    assert password not in "\n".join(lines) + before.stdout + after.stdout
    assert f"Logged in to http://{listen} as admin" in logged_in
    assert "demo" in created
    assert password not in logged_in
    assert find(json.loads(before.stdout), "first-password")[0] == "warn"
    assert find(json.loads(after.stdout), "first-password")[0] == "ok"
    assert find(json.loads(after.stdout), "master-key")[0] == "ok"


_ACCOUNTS: Final = {"ENTREPOT_ACCESS_ACCOUNTS": "true"}


def _answer_at_a_terminal(tmp_path: Path, typed: str, prompts: tuple[str, ...], answer: str) -> str:
    """Run what a person types into a shell, answer each prompt alike, and return what they see."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", typed],
        env=clean_environment(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config")),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # whose terminal is this one, not the one that the tests are run from
    )
    os.close(theirs)
    seen = ""
    for prompt in prompts:
        while not seen.endswith(prompt):
            seen += _next_of(ours)
        os.write(ours, f"{answer}\n".encode())
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while True:
            seen += _next_of(ours)
    os.close(ours)
    assert process.wait(timeout=60) == 0, seen
    return seen


def _next_of(terminal: int) -> str:
    """Return what comes next, which has to be soon."""
    ready, _, _ = select.select([terminal], [], [], 60)
    assert ready
    return os.read(terminal, 1024).decode()


def _wait_until_gone(file: Path) -> None:
    give_up_at = time.monotonic() + 60
    while file.exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def test_doctor_fails_for_an_object_store_that_does_not_answer(tmp_path: Path) -> None:
    """A node whose object store is away is told so, without the secret (S27)."""
    result = run(
        tmp_path,
        *("doctor", "--data", str(tmp_path / "data"), "-o", "json"),
        ENTREPOT_STORAGE_DRIVER="s3",
        ENTREPOT_STORAGE_S3_BUCKET="blobs",
        ENTREPOT_STORAGE_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        ENTREPOT_STORAGE_S3_ACCESS_KEY="id",
        ENTREPOT_STORAGE_S3_SECRET_KEY="canary",
    )

    status, message = find(json.loads(result.stdout), "blobs")
    assert (result.returncode, status) == (1, "fail")
    assert message.startswith("bucket blobs at http://127.0.0.1:")
    assert "check itself broke" not in message
    assert "canary" not in result.stdout + result.stderr


def test_a_cluster_node_is_migrated_and_examined(
    tmp_path: Path, s3_server: S3Server, empty_postgres_url: str
) -> None:
    """With PostgreSQL and S3, doctor asks both for real: before the schema, after it, and with a wrong key."""
    secret = tmp_path / "secret"
    secret.write_text(s3_server.secret_access_key + "\n", encoding="utf-8")
    node = {
        "ENTREPOT_METADATA_URL": empty_postgres_url,
        "ENTREPOT_STORAGE_DRIVER": "s3",
        "ENTREPOT_STORAGE_S3_BUCKET": s3_server.bucket,
        "ENTREPOT_STORAGE_S3_ENDPOINT": s3_server.endpoint_url,
        "ENTREPOT_STORAGE_S3_ACCESS_KEY": s3_server.access_key_id,
    }
    doctor = (
        "doctor",
        "--data",
        str(tmp_path / "data"),
        "--listen",
        f"127.0.0.1:{free_port()}",
        "-o",
        "json",
    )
    right = {**node, "ENTREPOT_STORAGE_S3_SECRET_KEY_FILE": str(secret)}

    before = run(tmp_path, *doctor, **right)
    unmigrated = run(tmp_path, "migrate", "--check", "--data", str(tmp_path / "data"), **right)
    migrated = run(tmp_path, "migrate", "--data", str(tmp_path / "data"), **right)
    after = run(tmp_path, *doctor, **right)
    wrong = run(tmp_path, *doctor, **node, ENTREPOT_STORAGE_S3_SECRET_KEY="wrong")

    assert [unmigrated.returncode, migrated.returncode] == [1, 0]
    assert [before.returncode, after.returncode, wrong.returncode] == [0, 0, 1]
    assert "and is empty" in find(json.loads(before.stdout), "metadata")[1]
    assert "its schema has version" in find(json.loads(after.stdout), "metadata")[1]
    assert find(json.loads(after.stdout), "blobs")[0] == "ok"
    assert find(json.loads(wrong.stdout), "blobs")[0] == "fail"


def test_the_command_is_declared_for_the_wheel() -> None:
    """The project file installs ``entrepot`` as the module these tests run."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["scripts"] == {"entrepot": "entrepot.__main__:main"}

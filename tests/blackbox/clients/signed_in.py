"""Client programs that act as somebody: each logs in by its own command, and keeps what it is told in its own place.

What all of them do alike is push an image that lies ready, pull it, and say why it could not be done: the tests of
roles are written once and run with each program.
"""

from __future__ import annotations

import itertools
import re
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, final

import pytest

from tests.blackbox.clients.containerd import Containerd
from tests.blackbox.clients.logins import Logins
from tests.blackbox.clients.program import ClientFailedError, Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.blackbox.clients.cosign import Cosign
    from tests.running.control_client import Account

__all__ = [
    "BuildahAs",
    "ContainerdAs",
    "CosignAs",
    "DockerAs",
    "OrasAs",
    "PodmanAs",
    "SignedIn",
    "SkopeoAs",
    "acting_apart",
    "refused",
]

_numbers: Final = itertools.count(1)
_REFUSED: Final = re.compile(
    r"denied|unauthorized|authentication required|authorization failed|401|403|invalid username",
    re.IGNORECASE,
)


def acting_apart(program: Program, directory: Path) -> Program:
    """Return a program that finds and leaves credentials in `directory` and nowhere else."""
    environment = {**program.environment, **Logins.none_yet(directory).environment}
    return Program(program.command, environment, program.timeout_seconds)


class SignedIn(ABC):
    """One program, one registry, and one account or none. Every method raises ClientFailedError when it is refused."""

    def __init__(self, program: Program, directory: Path, host: str, account: Account | None) -> None:
        self.program = acting_apart(program, directory / f"client-{next(_numbers)}")
        self.directory = directory
        self.host = host
        self.account = account

    def log_in(self) -> None:
        """Log in by the program's own command; somebody without an account need not."""
        if self.account is not None:
            self.program.run(
                *self._login_words,
                *("--username", self.account.name, "--password-stdin", self.host),
                standard_input=self.account.secret.encode(),
            )

    @property
    def _login_words(self) -> tuple[str, ...]:
        return ("login", "--tls-verify=false")

    @abstractmethod
    def push(self, repository: str, tag: str) -> None:
        """Push the image that lies ready."""

    @abstractmethod
    def pull(self, repository: str, tag: str) -> None:
        """Pull it, and forget it again."""


@final
class SkopeoAs(SignedIn):
    """skopeo. `image` is what it reads: `oci:<directory>:<tag>`."""

    def __init__(
        self, program: Program, directory: Path, host: str, account: Account | None, *, image: str
    ) -> None:
        super().__init__(program, directory, host, account)
        self._image = image

    def push(self, repository: str, tag: str) -> None:
        target = f"docker://{self.host}/{repository}:{tag}"
        self.program.run(
            "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", self._image, target
        )

    def pull(self, repository: str, tag: str) -> None:
        target = self.directory / f"pulled-{next(_numbers)}"
        source = f"docker://{self.host}/{repository}:{tag}"
        self.program.run("copy", "--all", "--src-tls-verify=false", source, f"dir:{target}")
        shutil.rmtree(target)

    def delete(self, repository: str, tag: str) -> None:
        """Delete what the tag names."""
        self.program.run("delete", "--tls-verify=false", f"docker://{self.host}/{repository}:{tag}")

    def copy(self, source: str, target: str) -> None:
        """Copy `repository:tag` within the registry: blobs are mounted where the account may."""
        self.program.run(
            *("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"),
            *(f"docker://{self.host}/{source}", f"docker://{self.host}/{target}"),
        )


class _ContainersStorage(SignedIn):
    """What podman and buildah have in common. `archive` is a Docker archive."""

    def __init__(
        self, program: Program, directory: Path, host: str, account: Account | None, *, archive: Path
    ) -> None:
        super().__init__(program, directory, host, account)
        self._archive = archive

    def push(self, repository: str, tag: str) -> None:
        local = self.program.run("pull", "--quiet", f"docker-archive:{self._archive}").strip()
        target = f"docker://{self.host}/{repository}:{tag}"
        self.program.run("push", "--quiet", "--tls-verify=false", local, target)

    def pull(self, repository: str, tag: str) -> None:
        local = self.program.run(
            "pull", "--quiet", "--tls-verify=false", f"{self.host}/{repository}:{tag}"
        ).strip()
        self.program.run("rmi", "--force", local)


@final
class PodmanAs(_ContainersStorage):
    """podman with a storage of the tests' own."""


@final
class BuildahAs(_ContainersStorage):
    """buildah with a storage of the tests' own."""


@final
class OrasAs(SignedIn):
    """oras. `layout` is a reference to an OCI layout: `<directory>:<tag>`."""

    def __init__(
        self, program: Program, directory: Path, host: str, account: Account | None, *, layout: str
    ) -> None:
        super().__init__(program, directory, host, account)
        self._layout = layout

    @property
    def _login_words(self) -> tuple[str, ...]:
        return ("login", "--plain-http", *self._configuration)

    @property
    def _configuration(self) -> tuple[str, ...]:
        return ("--registry-config", f"{self.program.environment['DOCKER_CONFIG']}/config.json")

    def push(self, repository: str, tag: str) -> None:
        """Push the image; a blob by itself goes first, since version 1.2 panics when several at once are refused."""
        blob = f"{self._layout.rpartition(':')[0]}/oci-layout"
        target = f"{self.host}/{repository}"
        self.program.run("blob", "push", "--plain-http", *self._configuration, target, blob)
        self.program.run(
            *("copy", "--from-oci-layout", "--to-plain-http"),
            *("--to-registry-config", f"{self.program.environment['DOCKER_CONFIG']}/config.json"),
            *(self._layout, f"{self.host}/{repository}:{tag}"),
        )

    def pull(self, repository: str, tag: str) -> None:
        target = self.directory / f"pulled-{next(_numbers)}"
        self.program.run(
            *("copy", "--from-plain-http", "--to-oci-layout"),
            *("--from-registry-config", f"{self.program.environment['DOCKER_CONFIG']}/config.json"),
            *(f"{self.host}/{repository}:{tag}", f"{target}:{tag}"),
        )
        shutil.rmtree(target)

    def delete(self, repository: str, tag: str) -> None:
        """Delete the manifest that the tag names."""
        self.program.run(
            *("manifest", "delete", "--force", "--plain-http", *self._configuration),
            f"{self.host}/{repository}:{tag}",
        )


@final
class DockerAs(SignedIn):
    """The command line of a Docker Engine. `image` is one that the engine holds."""

    def __init__(
        self, program: Program, directory: Path, host: str, account: Account | None, *, image: str
    ) -> None:
        super().__init__(program, directory, host, account)
        self._image = image

    @property
    def _login_words(self) -> tuple[str, ...]:
        return ("login",)

    def push(self, repository: str, tag: str) -> None:
        reference = f"{self.host}/{repository}:{tag}"
        self.program.run("tag", self._image, reference)
        try:
            self.program.run("push", reference)
        finally:
            self.program.run("image", "rm", "--force", reference)

    def pull(self, repository: str, tag: str) -> None:
        reference = f"{self.host}/{repository}:{tag}"
        self.program.run("pull", reference)
        self.program.run("image", "rm", "--force", reference)


@final
class ContainerdAs(SignedIn):
    """ctr, which has no login: it is told who acts with every command. `image` is one that containerd holds."""

    def __init__(
        self, program: Program, directory: Path, host: str, account: Account | None, *, image: str
    ) -> None:
        super().__init__(program, directory, host, account)
        self._image = image

    def log_in(self) -> None:
        """Have nothing to do."""

    @property
    def _containerd(self) -> Containerd:
        return Containerd(self.program, self.account)

    def push(self, repository: str, tag: str) -> None:
        reference = f"{self.host}/{repository}:{tag}"
        self.program.run("images", "tag", "--force", self._image, reference)
        try:
            self._containerd.push(reference)
        finally:
            self._containerd.remove(reference)

    def pull(self, repository: str, tag: str) -> None:
        reference = f"{self.host}/{repository}:{tag}"
        self._containerd.pull(reference)
        self._containerd.remove(reference)


@final
class CosignAs(SignedIn):
    """cosign: it signs what is in a repository already, and checks that; `log_in` only writes down what it is told."""

    def __init__(
        self, cosign: Cosign, directory: Path, host: str, account: Account | None, *, digest: str
    ) -> None:
        super().__init__(cosign.program, directory, host, account)
        self._cosign = type(cosign)(self.program, cosign.private_key, cosign.public_key)
        self._digest = digest

    @property
    def _login_words(self) -> tuple[str, ...]:
        return ("login",)

    def push(self, repository: str, tag: str) -> None:
        """Sign the image by its digest: a signature that says `tag` and lies where cosign chooses.

        One that said the same as another would not be sent.
        """
        self._cosign.create("sign", "--annotations", f"tag={tag}", f"{self.host}/{repository}@{self._digest}")

    def pull(self, repository: str, tag: str) -> None:
        """Check the signature."""
        self._cosign.check("verify", f"{self.host}/{repository}@{self._digest}")


def refused(act: Callable[[], object]) -> str:
    """Return what a program wrote to standard error that was refused; any other failure is a failure of the test."""
    with pytest.raises(ClientFailedError) as caught:
        act()
    said = str(caught.value).partition("--- standard error\n")[2]
    assert _REFUSED.search(said), said
    return said

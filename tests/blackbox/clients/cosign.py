"""cosign with keys of its own and without the transparency log, which would need the internet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.blackbox.clients.program import Program, scratch_environment

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Cosign"]


@dataclass(frozen=True, slots=True)
class Cosign:
    """The program, and the arguments with which it signs and checks."""

    program: Program
    private_key: Path
    public_key: Path

    @classmethod
    def with_new_keys(cls, path: str, home: Path, **more: str) -> Self:
        """Make a pair of keys in `home`; `more` is added to the program's environment."""
        environment = scratch_environment(home, COSIGN_PASSWORD="not a secret", COSIGN_YES="true", **more)
        Program((path,), environment).run("generate-key-pair", "--output-key-prefix", str(home / "key"))
        return cls(Program((path,), environment), home / "key.key", home / "key.pub")

    def with_oci_1_1(self) -> Self:
        """Return a cosign that may use the referrers API, which version 2.5 calls an experiment."""
        environment = {**self.program.environment, "COSIGN_EXPERIMENTAL": "1"}
        return type(self)(Program(self.program.command, environment), self.private_key, self.public_key)

    def create(self, command: str, *arguments: str) -> str:
        """Run `sign` or `attest` with the private key."""
        key = ("--key", str(self.private_key), "--tlog-upload=false")
        return self.program.run(command, "--allow-http-registry", *key, *arguments)

    def check(self, command: str, *arguments: str) -> str:
        """Run `verify` or `verify-attestation` with the public key."""
        return self.program.run(command, *self._checking(), *arguments)

    def check_failing(self, command: str, *arguments: str) -> str:
        """Run `verify` or `verify-attestation` where it must refuse; return what it wrote to standard error."""
        return self.program.run_failing(command, *self._checking(), *arguments)

    def run(self, command: str, *arguments: str) -> str:
        """Run a command that needs no key."""
        return self.program.run(*command.split(), "--allow-http-registry", *arguments)

    def _checking(self) -> tuple[str, ...]:
        return ("--allow-http-registry", "--key", str(self.public_key), "--insecure-ignore-tlog=true")

"""A secret that is shown once, and that must not be lost in silence: nobody could ever see it again."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.client.errors import EXIT_REFUSED, EXIT_USAGE, ClientError
from entrepot.client.stopping import hold_signals
from entrepot.client.streams import has_output, silence_output

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OneTimeSecret"]


@dataclass(frozen=True, slots=True)
class OneTimeSecret:
    """What a person is told of a secret that may be lost.

    Attributes:
        name: what it is, as `the new password`.
        deed: what has been done by then, as `the password of ann was changed`.
        remedy: what helps when it was not shown; a sentence.
    """

    name: str
    deed: str
    remedy: str

    def require_output(self) -> None:
        """Refuse before anything is done.

        Raises:
            ClientError: standard output is closed.
        """
        if not has_output():
            raise ClientError(
                EXIT_USAGE,
                f"entrepot: standard output is closed; {self.name} could not be shown. Nothing was done",
            )

    @contextlib.contextmanager
    def until_shown(self) -> Iterator[None]:
        """Keep signals from ending the command between the making of the secret and the end of what shows it.

        Raises:
            ClientError: as :meth:`require_output`.
        """
        self.require_output()
        notice = f"entrepot: this ends when {self.name} is shown. Interrupted once more it ends now; then:"
        with hold_signals(f"{notice} {self.remedy}"):
            yield

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Make sure that what is printed inside has left this process.

        Raises:
            ClientError: it has not; be it that nobody reads it, which ends other commands without a word.
        """
        try:
            yield
            sys.stdout.flush()
        except OSError as error:
            silence_output()
            raise ClientError(
                EXIT_REFUSED,
                f"entrepot: {self.deed}, but {self.name} could not be shown: {error.strerror}. {self.remedy}",
            ) from error

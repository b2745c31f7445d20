"""The archive itself: members that passed the redaction, written as one file of mode 0600 that appears whole or not."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import TYPE_CHECKING

from entrepot.client.new_files import new_file

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.ops.support.redaction import Redactor

__all__ = ["Archive"]


class Archive:
    """Holds the members in memory until it is written. There is no way in but through the redactor."""

    def __init__(self, name: str, redactor: Redactor) -> None:
        """Take the name of the directory that the members unpack to."""
        self._name = name
        self._redactor = redactor
        self._members: dict[str, bytes] = {}

    def add_text(self, name: str, text: str) -> None:
        """Add a text; a `.log` is cleaned line by line, so that lines of JSON stay that."""
        cleaned = (
            self._redactor.clean_lines(text) if name.endswith(".log") else self._redactor.clean_text(text)
        )
        self._keep(name, cleaned)

    def add_json(self, name: str, value: object) -> None:
        """Add a value of plain types, as JSON."""
        cleaned = self._redactor.clean_value(value)
        self._keep(name, json.dumps(cleaned, indent=2, ensure_ascii=False) + "\n")

    def clean(self, text: str) -> str:
        """Return a text as it may be shown, for what is printed beside the archive."""
        return self._redactor.clean_text(text)

    def sizes(self) -> dict[str, int]:
        """Return the members so far, in order, with their sizes in bytes."""
        return {name: len(content) for name, content in self._members.items()}

    def write(self, path: Path) -> int:
        """Write the file and return its size. Raises FileExistsError rather than replace one, else OSError."""
        content = self._pack()
        with new_file(path) as stream:
            stream.write(content)
        return len(content)

    def _keep(self, name: str, text: str) -> None:
        # A second time, now that the text has the form in which it leaves the machine.
        self._members[name] = self._redactor.mask_known(text).encode("utf-8", "backslashreplace")

    def _pack(self) -> bytes:
        packed = io.BytesIO()
        now = int(time.time())  # noqa: TID251 - a file bears the clock of its machine
        with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            for name, content in self._members.items():
                entry = tarfile.TarInfo(f"{self._name}/{name}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, now
                archive.addfile(entry, io.BytesIO(content))
        return packed.getvalue()

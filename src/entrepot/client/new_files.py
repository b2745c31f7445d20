"""Files that a command writes for a person: whole or not at all, for their eyes alone, in place of nothing.

It lies with the client, which imports nothing else of the product; the commands on the host write theirs with it, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["is_taken", "new_file"]

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o600
_LONGEST_PART: Final = 50
"""Characters of the file's name in that of its draft: at most 200 bytes of the 255 that a name may have."""
_WITHOUT_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system without hard links, as that of a USB stick, answers to one."""


def is_taken(path: Path) -> bool:
    """Whether something has this name, be it a symbolic link to nowhere.

    Raises:
        OSError: that can't be found out.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield what to write to; the file gets its name, of mode 0600 and synced, when the block ends without an error.

    Until then it is a draft beside it that nobody else writes to, with a name that nobody foresees; of several who
    write to one `path` the first gets the name.

    Raises:
        FileExistsError: something has the name, or got it meanwhile; it stays as it is.
        OSError: the file can't be written; nothing is left of it.
    """
    if is_taken(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    draft = path.with_name(f".{path.name[:_LONGEST_PART]}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, _FLAGS, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        _give_name(draft, path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _give_name(draft: Path, path: Path) -> None:
    """Let the draft be found as `path` as well or instead, but never in place of something else."""
    try:
        os.link(draft, path, follow_symlinks=False)  # unlike a rename, fails where something is already
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        os.close(os.open(path, _FLAGS, _MODE))
        try:
            draft.rename(path)  # over the empty file that is ours
        except OSError:
            path.unlink()
            raise

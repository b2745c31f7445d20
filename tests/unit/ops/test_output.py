"""What commands print of what others wrote."""

from __future__ import annotations

from entrepot.ops.output import format_table


def test_nobody_writes_lines_or_steers_the_terminal_of_who_reads_a_table() -> None:
    """A reason holds what a client typed."""
    forged = "x\n9  admin  user.delete\x1b[31m\u202e\x9b"

    lines = format_table(("ID", "REASON"), [("7", forged), ("8", "ö 漢")]).splitlines()

    assert lines == ["ID  REASON", "7   x\ufffd9  admin  user.delete\ufffd[31m\ufffd\ufffd", "8   ö 漢"]

"""What an import tells people and programs."""

from __future__ import annotations

from entrepot.oci.digest import Digest
from entrepot.ops.images.import_report import render_report, report_as_json
from entrepot.transfer.report import Difference, ImportReport, KeptTag, Problem

HERE, THERE = Digest.of_bytes(b"here"), Digest.of_bytes(b"there")


def test_a_complete_import_in_lines() -> None:
    """Figures by kind, with bytes for people; new bytes exactly."""
    report = ImportReport(repositories=2, tags_set=3, tags_present=1, manifests_stored=4, compared=4)
    report.count_blob("linked", 1024)
    report.count_blob("linked", 1024)
    report.count_blob("mounted", 5)

    assert report.is_complete
    assert render_report(report, rehearsal=False).splitlines() == [
        "repositories  2",
        "tags          3 set, 1 there before, 0 kept as they are",
        "manifests     4 stored, 0 there before",
        "blobs         2 hard-linked (2.0 KiB)",
        "blobs         1 linked from other repositories (5 B)",
        "new bytes     2048 (2.0 KiB)",
        "compared      4, 0 differ",
    ]


def test_a_rehearsal_says_so_first_and_compares_nothing() -> None:
    """Nobody takes its figures for what happened."""
    lines = render_report(ImportReport(), rehearsal=True).splitlines()

    assert lines[0].startswith("Nothing was changed")
    assert not any(line.startswith("compared") for line in lines)
    assert report_as_json(ImportReport(), rehearsal=True)["dry_run"] is True


def test_what_is_missing_or_differs_is_named() -> None:
    """A kept tag alone is no failure; a problem or a difference is."""
    report = ImportReport(kept=[KeptTag("app", "v1", THERE, HERE)])
    complete_with_a_kept_tag = report.is_complete
    report.problems.append(Problem("app", "v2", "damaged"))
    report.problems.append(Problem("other", "", "no name"))
    report.differences.append(Difference("app", "v3", THERE, None))

    lines = render_report(report, rehearsal=False).splitlines()[-4:]

    assert (complete_with_a_kept_tag, report.is_complete) == (True, False)
    assert lines == [
        f"kept     app:v1  here {HERE}, at the source {THERE}",
        "missing  app:v2  damaged",
        "missing  other  no name",
        f"differs  app:v3  not there instead of {THERE}",
    ]


def test_people_get_fifty_lines_and_programs_get_all() -> None:
    """A tree full of old manifests does not scroll the figures away."""
    report = ImportReport(problems=[Problem("app", f"v{number}", "old") for number in range(60)])

    lines = render_report(report, rehearsal=False).splitlines()

    assert len([line for line in lines if line.startswith("missing")]) == 50
    assert lines[-1].startswith("… and 10 more")
    assert len(report_as_json(report, rehearsal=False)["problems"]) == 60

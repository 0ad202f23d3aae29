"""Files in every form and mix: which part each plays, and what is wrong with it."""

from pathlib import Path

import pytest

from tests.doctor.corpus_files import Files, cases


@pytest.mark.parametrize("files", cases(), ids=lambda files: files.name)
def test_files(files: Files, tmp_path: Path) -> None:
    """The cause, the findings beside it, and the parts that the files play."""
    report = files.examined(tmp_path)
    told = [one.code for one in report.findings]
    assert (report.cause.code if report.cause else None) == files.cause, (report.cause, told)
    assert set(files.found) <= set(told)
    assert not (files.alone and told)
    assert files.verdict in ("", report.verdict), told
    roles = {Path(file.path).name: file.role for file in report.case.files}
    assert files.roles.items() <= roles.items()
    for finding in filter(None, [report.cause, *report.findings]):
        assert {"got", "expected"} <= set(finding.evidence)

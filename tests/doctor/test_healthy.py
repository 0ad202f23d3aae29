"""No false alarm: healthy chains give ok, or the warnings that belong to their layout and are documented."""

import pytest

from leafward.doctor.runner import diagnose
from tests.doctor import corpus_healthy
from tests.doctor.corpus import Broken


@pytest.mark.parametrize("healthy", [*corpus_healthy.cases()], ids=lambda healthy: healthy.name)
def test_nothing_is_wrong(healthy: Broken) -> None:
    report = diagnose(healthy.case)
    told = {one.code for one in report.findings}
    assert report.cause is None, report.cause
    assert told <= set(healthy.found), told
    if not healthy.found:
        assert report.verdict == "ok"

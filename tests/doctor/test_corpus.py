"""The corpus of broken edges: each has the cause that it was made with, and nothing else takes its place."""

import json

import pytest

from leafward.doctor.checks import CHECKS
from leafward.doctor.report import as_json
from leafward.doctor.runner import diagnose
from tests.doctor import corpus_files, corpus_levels, corpus_odd, corpus_pairs, corpus_single
from tests.doctor.corpus import Broken

CORPUS = [*corpus_levels.cases(), *corpus_pairs.cases(), *corpus_single.cases(), *corpus_odd.cases()]


@pytest.mark.parametrize("broken", CORPUS, ids=lambda broken: broken.name)
def test_the_cause(broken: Broken) -> None:
    """One cause, or none where no client in its default mode refuses; the rest are findings."""
    report = diagnose(broken.case)
    cause = report.cause.code if report.cause else None
    told = [one.code for one in report.findings]
    assert cause == broken.cause or cause in broken.also, (cause, told)
    assert set(broken.found) <= set(told), told
    assert report.verdict == ("failed" if broken.cause else report.verdict)


def test_there_are_enough() -> None:
    assert len(CORPUS) >= 400
    assert len({broken.name for broken in CORPUS}) == len(CORPUS)


def test_every_code_is_met() -> None:
    """Each code about certificates and files is the cause of a case, or found in one."""
    codes = {check.code for check in CHECKS if check.family not in ("reach", "settings", "device")}
    met = {code for broken in CORPUS for code in (broken.cause, *broken.found)}
    met |= {code for files in corpus_files.cases() for code in (files.cause, *files.found)}
    assert codes <= met, codes - met


def test_a_cause_says_who_and_how() -> None:
    """Each finding of the corpus has evidence that is data, somebody to mend it, and a sentence how."""
    for broken in CORPUS[::5]:
        report = diagnose(broken.case)
        value = json.loads(json.dumps(as_json(report)))
        for finding in filter(None, [value["cause"], *value["findings"]]):
            assert {"got", "expected"} <= set(finding["evidence"])
            assert finding["who"] in ("maker", "operator", "leaf", "network")
            assert len(finding["fix"]) > 20
            assert ("alternatives" in finding) <= ("look" in finding["evidence"])

"""The docket and the table of limits: nothing of ours is left out, and no limit is there for nothing."""

import pytest

from leafward.pki.key_types import KEY_TYPES
from leafward.pki.profiles import PROFILES
from tests.oracles.case import ACCEPTED
from tests.oracles.forgeries import FAULTS
from tests.oracles.hierarchies import DEPTHS, EVERY_DEPTH
from tests.oracles.limits import JUDGES, LIMITS
from tests.oracles.trial import asked_of, hold


def test_the_docket_is_whole(docket):
    """Each kind with each key type at each depth (intermediate CAs need one), and each fault"""
    good = [case for case in docket if case.good]
    for kind in PROFILES:
        assert {key for case in good if kind in case.traits for key in case.traits} >= KEY_TYPES.keys(), kind
        for key_type in EVERY_DEPTH:
            lengths = {len(case.chain) for case in good if {kind, key_type} <= case.traits}
            assert len(lengths) >= len(DEPTHS) - (kind == "intermediate_ca") or kind == "root_ca", (kind, key_type)
    assert {fault for case in docket if not case.good for fault in FAULTS if fault in case.traits} == set(FAULTS)
    assert len({case.label for case in docket}) == len(docket)


def test_every_case_has_judges(docket):
    """At least two for each, our own verdict aside; one for post-quantum keys, which few know yet"""
    asked = {judge: {case.label for case in asked_of(judge, docket)} for judge in JUDGES if judge != "leafward"}
    for case in docket:
        judges = [judge for judge, labels in asked.items() if case.label in labels]
        assert len(judges) >= (1 if "ml-dsa" in case.traits else 2), (case.label, judges)


def test_every_limit_counts(docket):
    """Each row is about judges that there are and cases that there are, and says why"""
    for limit in LIMITS:
        assert set(limit.judges) <= set(JUDGES), limit
        assert any(limit.traits <= case.traits for case in docket), limit
        assert limit.reason, limit


@pytest.mark.parametrize("verdict", [ACCEPTED, "refused"])
def test_a_judge_of_one_mind(verdict, docket):
    """A judge that accepts everything, or nothing, is found out"""
    with pytest.raises(AssertionError, match="cases"):
        hold("openssl", docket, lambda cases: [verdict] * len(cases))

"""The engine: one cause in the order of a TLS client, what follows from it left out, the rest as findings."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from leafward.doctor.case import Case, FileEvidence, FileFault
from leafward.doctor.checks import CHECKS, check
from leafward.doctor.consequences import follows
from leafward.doctor.report import chain_of, joined
from leafward.doctor.runner import diagnose
from leafward.pki.chain import fingerprint
from tests.doctor.corpus_levels import chain
from tests.pki.chain_forge import HOST, NOW, ca, client, edge, root, server


def case_of(*certificates: object, **more: object) -> Case:
    line = tuple(certificates) or tuple(edge().hub.line)
    given = {"target": "hub.pem", "now": NOW, "anchors": (edge().root.certificate,), "name": HOST, **more}
    return Case(presented=line, **given)  # type: ignore[arg-type]


def test_a_good_chain_is_ok() -> None:
    """root -> intermediate -> device CA -> workload CA -> hub: **ok**, and nothing is left untold"""
    report = diagnose(case_of())
    assert (report.verdict, report.cause, report.findings, report.untold) == ("ok", None, (), ())


def test_nothing_at_hand() -> None:
    """No certificate, no file: nothing applies, and nothing is guessed."""
    report = diagnose(Case(target="nothing", now=NOW))
    assert (report.verdict, report.findings, report.untold) == ("ok", (), ())


def test_what_is_missing_is_told_once() -> None:
    """Without roots and without a name, trust and name could not be told."""
    report = diagnose(case_of(anchors=(), name=None))
    told = dict(report.untold)
    assert "--root" in told["root-not-trusted"]
    assert "--name" in told["hostname-mismatch"]


@pytest.mark.parametrize("level", range(4))
def test_the_cause_names_the_certificate(level: int) -> None:
    """root -> CA 3 -> CA 2 -> CA 1 -> hub, one of which ended"""
    hub = chain(5, {level: {"not_after": NOW - timedelta(hours=1)}})
    report = diagnose(case_of(*hub.line, anchors=(hub.root,)))
    assert report.cause is not None
    assert report.cause.certificate == fingerprint(hub.line[level])


def test_a_consequence_is_no_second_cause() -> None:
    """An earlier workload CA of the same name signed: key identifiers and signature do not fit, and that follows."""
    earlier = ca("iotedge workload ca", edge().device_ca, 0, own_key=edge().intermediate.key)
    report = diagnose(case_of(server(earlier).certificate, *edge().workload_ca.line))
    assert report.cause is not None
    assert report.cause.code == "stale-workload-ca"
    assert not {"key-id-mismatch", "signature-invalid", "root-not-trusted"} & {one.code for one in report.findings}


def test_what_follows_is_known_to_the_checks() -> None:
    """A code in the table that no check has would be a typing mistake."""
    hub = diagnose(case_of(name="other.local"))
    assert hub.cause is not None
    assert not follows(replace(hub.cause, code="weak-key"), hub.cause, [])
    assert follows(replace(hub.cause, code="hostname-invalid"), replace(hub.cause, code="ip-in-dns-san"), [])


def test_a_file_comes_before_the_chain() -> None:
    """A file that is missing is why the chain is short: the hole follows from it."""
    fault = FileFault("file-missing", "ca.pem", "nothing", "a file", "Check the path, and then the folder.")
    files = (FileEvidence("hub.pem", "server chain"), FileEvidence("ca.pem", "nothing of use", (fault,)))
    report = diagnose(case_of(edge().hub.certificate, files=files))
    assert report.cause is not None
    assert report.cause.code == "file-missing"
    assert "intermediate-missing" not in {one.code for one in report.findings}


def test_several_chains_make_one_answer() -> None:
    """A hub that is well and a leaf that ended: failed, the leaf's chain is shown, and what is found is told once."""
    leaf = client(edge().device_ca, not_after=NOW - timedelta(hours=1))
    well = diagnose(case_of())
    ended = diagnose(case_of(*leaf.line, purpose="client", name=None))
    together = joined([well, ended])
    assert together.failed
    assert together.cause is not None
    assert together.cause.code == "certificate-expired"
    shown = chain_of(together.case)
    assert shown is not None
    assert shown["certificates"][0]["common_name"] == "pump-7"  # type: ignore[index]


def test_a_path_that_openssl_does_not_take() -> None:
    """root -> CA "A" -> CA "A" (rolled over, no key identifiers) -> hub: to OpenSSL the second "A" looks self-signed"""
    top = root("Test Root 3")
    first = ca("A", top, ski=False, aki=False)
    second = ca("A", first, ski=False, aki=False, own_key=edge().device_ca.key)
    hub = server(second)
    report = diagnose(case_of(*hub.line, anchors=(top.certificate,)))
    assert report.failed
    assert report.cause is not None
    assert report.cause.code in ("root-not-trusted", "intermediate-missing", "signature-invalid")


def test_checks_are_found_by_their_files() -> None:
    folder = Path(__file__).parents[2] / "src" / "leafward" / "doctor" / "checks"
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py")} - {"--init--"}
    assert files == {one.code for one in CHECKS}
    assert all(check(one.code) is one for one in CHECKS)
    assert check("nothing") is None


def test_a_hub_certificate_in_place_of_a_ca() -> None:
    """root -> … -> workload CA -> hub, named as the device CA: it is no CA, and not one CA too many"""
    report = diagnose(case_of(purpose="ca", name=None))
    assert report.cause is not None
    assert report.cause.code == "not-a-ca"
    assert "path-length-exceeded" not in {one.code for one in report.findings}

"""Each rule finds its own fault, an error as the first in OpenSSL's order, and none in a good chain."""

import json
from datetime import timedelta

import pytest
from cryptography import x509

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.names import parse_host
from leafward.pki.rule import Context
from leafward.pki.rules import RULES, check, refuse, rule, signing_certificate
from leafward.pki.rules.names import matches
from tests.pki.chain_faults import FAULTS, whole
from tests.pki.chain_forge import HOST, NOW, ca, client, edge, key, root, server, usage


@pytest.mark.parametrize("case", FAULTS)
def test_a_rule_finds_its_fault(case):
    """Every chain of `chain_faults`: its code is found, with its severity; an error is the cause."""
    fault, code = FAULTS[case](), case.partition("/")[0]
    findings = check(fault.context)
    found = [finding for finding in findings if finding.code == code]
    assert [finding.severity for finding in found[:1]] == [fault.severity], findings
    errors = [finding.code for finding in findings if finding.severity == "error"]
    assert errors[:1] == ([code] if fault.severity == "error" else []), findings


@pytest.mark.parametrize("case", FAULTS)
def test_a_finding_says_what_to_do(case):
    """Evidence with got and expected, ready for JSON; somebody to do it; a command or a setting."""
    for finding in check(FAULTS[case]().context):
        assert {"got", "expected"} <= set(finding.evidence)
        json.dumps(dict(finding.evidence))
        assert finding.who in ("maker", "operator", "leaf", "network")
        assert len(finding.fix) > 20
        assert finding.title in finding.reason
        assert "expected" in finding.reason


def test_every_code_has_a_fault():
    assert {rule.code for rule in RULES} == {case.partition("/")[0] for case in FAULTS}


def test_rules_are_found_by_their_files():
    assert len({rule.code for rule in RULES}) == len(RULES)
    for one in RULES:
        assert one.clause
        assert one.title == one.title[0].lower() + one.title[1:]
        assert rule(one.code) is one


def test_a_good_chain_has_no_findings():
    """root -> intermediate -> device CA -> workload CA -> hub: **nothing**"""
    assert check(whole(edge().hub, key=edge().hub.key.public_key()).context) == []


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_a_good_chain_of_any_depth(levels):
    """root -> n intermediates -> device CA -> workload CA -> hub, root not presented: **nothing**"""
    party = root()
    for number in range(levels):
        party = ca(f"Intermediate {number}", party, 1 + levels - number)
    hub = server(ca("iotedge workload ca", ca("gw.ca", party, 1), 0))
    context = Context(
        chain=Chain(tuple(hub.line[:-1])), anchors=(hub.root,), host=parse_host(HOST), now=NOW, purpose="server"
    )
    assert check(context) == []


def test_a_good_client_chain():
    """root -> intermediate -> device CA -> leaf without SAN: **nothing**"""
    assert check(whole(client(edge().device_ca), purpose="client", host=None).context) == []


def test_without_anchors_trust_is_not_judged():
    """The issuer knows no verifier's roots."""
    assert check(Context(chain=edge().hub.chain, now=NOW)) == []


def test_a_root_issued_again_is_the_same_root():
    """The presented root has other dates than the trusted one, and the same name and key: **nothing**"""
    again = root(own_key=edge().root.key, not_after=NOW + timedelta(days=60))
    context = Context(chain=edge().hub.chain, anchors=(again.certificate,), now=NOW)
    assert check(context) == []


def test_the_first_error_is_what_openssl_meets_first():
    """A wrong name is met before an expiry, an expired root before an expired leaf."""
    ended = {"not_before": NOW - timedelta(days=3), "not_after": NOW - timedelta(days=1)}
    top = root(**ended)
    hub = server(top, "other.local", **ended)
    findings = [finding for finding in check(whole(hub).context) if finding.severity == "error"]
    assert [finding.code for finding in findings] == ["hostname-mismatch", "certificate-expired", "certificate-expired"]
    assert findings[1].evidence["subject"] == "CN=Test Root"


def test_the_likelier_code_names_the_other():
    finding = check(FAULTS["intermediate-missing"]().context)[0]
    assert finding.alternatives == ("root-not-trusted",)
    assert "look" in finding.evidence


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("gw.plant.example", "gw.plant.example", True),
        ("GW.Plant.Example", "gw.plant.example", True),
        ("*.plant.example", "gw.plant.example", True),
        ("*.plant.example", "a.gw.plant.example", False),
        ("*.plant.example", "plant.example", False),
        ("*.local", "gw.local", False),
        ("g*.plant.example", "gw.plant.example", False),
        ("*", "gw", False),
        ("*.*.example", "a.b.example", False),
        ("", "gw", False),
    ],
)
def test_names_and_wildcards(pattern, host, fits):
    assert matches(pattern, host) is fits


@pytest.mark.parametrize(
    ("constraint", "names", "fits"),
    [
        (x509.DNSName("local"), ["iotedgegw.local"], True),
        (x509.DNSName(".local"), ["iotedgegw.local"], True),
        (x509.DNSName("iotedgegw.local"), ["iotedgegw.local"], True),
        (x509.DNSName("gw.local"), ["iotedgegw.local"], False),
        (x509.DNSName("plant.example"), ["iotedgegw.local", "a.plant.example"], False),
        (x509.DNSName("local"), ["iotedgegw.local", "192.0.2.1"], True),
    ],
)
def test_permitted_names(constraint, names, fits):
    """device CA with permitted DNS names -> hub"""
    constrained = ca("gw.ca", root(), extra=[(x509.NameConstraints([constraint], None), True)])
    codes = [finding.code for finding in check(whole(server(constrained, *names)).context)]
    assert codes == ([] if fits else ["name-constraint-violated"])


def test_directory_names_are_constrained_too():
    """device CA limited to O=Plant -> hub CN=iotedgegw.local: the library does not look at this, OpenSSL does"""
    plant = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Plant")])
    constraints = x509.NameConstraints([x509.DirectoryName(plant)], None)
    constrained = ca("gw.ca", root(), extra=[(constraints, True)])
    assert [finding.code for finding in check(whole(server(constrained)).context)] == ["name-constraint-violated"]


def test_issuing_refuses_what_is_a_warning_elsewhere():
    """device CA named as the hostname -> workload CA -> hub: **refused at issue time**, a warning when met"""
    context = FAULTS["common-name-equals-device-ca"]().context
    refuse(context, issuing=False)
    with pytest.raises(RuleViolation) as caught:
        refuse(context)
    assert caught.value.code == "common-name-equals-device-ca"
    assert HOST in (caught.value.why or "")
    assert caught.value.hint


def test_issuing_a_ca_named_as_the_hostname_is_refused():
    """device CA "iotedgegw.local", made for the host iotedgegw.local: **refused**"""
    context = Context(chain=ca(HOST, root(), 1).chain, now=NOW, purpose="ca", host=parse_host(HOST), depth_below=1)
    with pytest.raises(RuleViolation, match="hostname") as caught:
        refuse(context)
    assert caught.value.code == "common-name-equals-device-ca"


def test_an_old_flaw_of_the_maker_stops_no_gateway():
    """intermediate without key identifiers -> device CA -> workload CA -> hub: issued, with warnings"""
    flawed = ca("Old Intermediate", root(), aki=False)
    context = Context(chain=server(ca("workload", ca("gw.ca", flawed, 1), 0)).chain, now=NOW)
    assert [finding.code for finding in check(context)] == ["authority-key-id-missing"]
    refuse(context)


def test_what_no_verifier_of_ours_would_accept_is_not_issued():
    """CA without keyUsage -> hub: a warning, and no chain through it passes `verify`"""
    context = Context(chain=server(ca("gw.ca", root(), 1, key_usage=None)).chain, now=NOW)
    with pytest.raises(RuleViolation) as caught:
        refuse(context)
    assert caught.value.code == "key-usage-missing-cert-sign"


class TestSigningCertificate:
    """What the manager asks of its device CA at every start."""

    def test_a_good_device_ca(self):
        device_ca = edge().device_ca
        key_at_hand = device_ca.key.public_key()
        assert signing_certificate(device_ca.chain, NOW, key=key_at_hand, anchors=[device_ca.root]) == []

    @pytest.mark.parametrize(
        ("special", "code"),
        [
            ({"ca": False}, "not-a-ca"),
            ({"path_length": 0}, "path-length-exceeded"),
            ({"key_usage": usage("digital_signature")}, "key-usage-missing-cert-sign"),
            ({"not_after": NOW - timedelta(hours=1)}, "certificate-expired"),
            ({"not_before": NOW + timedelta(hours=1)}, "certificate-not-yet-valid"),
            ({"not_after": NOW + timedelta(minutes=5)}, "device-ca-expiring"),
        ],
    )
    def test_a_device_ca_that_cannot_sign(self, special, code):
        """device CA without CA:TRUE, without room, without keyCertSign, with five minutes left: **refused**"""
        device_ca = ca("iotgateway.ca", edge().intermediate, **{"path_length": 1, **special})
        errors = [one.code for one in signing_certificate(device_ca.chain, NOW) if one.severity == "error"]
        assert errors[0] == code

    def test_the_maker_left_no_room(self):
        """intermediate (pathlen 1) -> device CA (pathlen 1): with a workload CA below there is one too many"""
        device_ca = ca("iotgateway.ca", ca("Narrow", root(), 1), 1)
        finding = signing_certificate(device_ca.chain, NOW)[0]
        assert (finding.code, finding.evidence["subject"]) == ("path-length-exceeded", "CN=Narrow")

    def test_the_key_of_another(self):
        found = signing_certificate(edge().device_ca.chain, NOW, key=key("another").public_key())
        assert [finding.code for finding in found] == ["key-mismatch"]

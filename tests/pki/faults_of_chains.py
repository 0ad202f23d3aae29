"""Broken chains, named after their defect: how certificates stand to one another, and what their CAs may do."""

from datetime import timedelta

from tests.pki.chain_forge import (
    HOST,
    NOW,
    ca,
    edge,
    issue,
    key,
    name,
    root,
    server,
    usage,
)
from tests.pki.fault import Fault, crl, fault, whole


@fault("self-signed-server")
def _() -> Fault:
    """hub signs itself; another root is trusted"""
    return Fault([server(None).certificate], [edge().root.certificate])


@fault("root-not-trusted")
def _() -> Fault:
    """root -> ... -> hub, presented with its root; another root is trusted"""
    return Fault(edge().hub.line, [root("Other Root").certificate])


@fault("root-not-trusted/not-presented")
def _() -> Fault:
    """... -> intermediate -> ... -> hub, without its root; another root is trusted"""
    return Fault(edge().hub.line[:-1], [root("Other Root").certificate])


@fault("intermediate-missing")
def _() -> Fault:
    """hub alone"""
    return Fault([edge().hub.certificate], [edge().root.certificate])


@fault("intermediate-missing/last")
def _() -> Fault:
    """device CA -> workload CA -> hub: the intermediate above the device CA is not sent"""
    return Fault(edge().hub.line[:3], [edge().root.certificate])


@fault("root-same-name-different-key")
def _() -> Fault:
    """the trusted root has the name of the chain's and another key"""
    return Fault(edge().hub.line[:-1], [root(own_key=key("another")).certificate])


@fault("root-same-name-different-key/presented")
def _() -> Fault:
    """the same, with the chain's own root presented"""
    return Fault(edge().hub.line, [root(own_key=key("another")).certificate])


@fault("anchor-not-self-signed")
def _() -> Fault:
    """the intermediate is trusted, and a root that has nothing to do with it"""
    return Fault(edge().hub.line[:-1], [root("Other Root").certificate, edge().intermediate.certificate])


@fault("root-file-is-not-root")
def _() -> Fault:
    """only the device CA is trusted"""
    return Fault(edge().hub.line[:-1], [edge().device_ca.certificate])


@fault("issuer-same-name-as-server")
def _() -> Fault:
    """root -> CA "iotedgegw.local" -> server "iotedgegw.local" without key identifiers"""
    direct = ca(HOST, root(), ski=False)
    return whole(server(direct, ski=False, aki=False))


@fault("issuer-same-name-as-server/told-apart")
def _() -> Fault:
    """the same names, with key identifiers"""
    return whole(server(ca(HOST, root())), "warning")


@fault("common-name-equals-device-ca")
def _() -> Fault:
    """device CA "iotedgegw.local" -> workload CA -> hub "iotedgegw.local" """
    device_ca = ca("IoTEdgeGW.local", edge().intermediate, 1)
    return whole(server(ca("iotedge workload ca", device_ca, 0)), "warning")


@fault("issuer-name-mismatch")
def _() -> Fault:
    """the hub names an issuer of another name than that of the CA whose key signed it"""
    return whole(server(edge().workload_ca, issuer_name=name("another ca")))


@fault("issuer-name-mismatch/case")
def _() -> Fault:
    """the names differ in case only"""
    return whole(server(edge().workload_ca, issuer_name=name("IoTEdge  Workload CA")), "warning")


@fault("key-id-mismatch")
def _() -> Fault:
    """the device CA names another key than the intermediate's; the signature is good"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 1, aki=b"another key")
    return whole(server(ca("iotedge workload ca", device_ca, 0)))


@fault("stale-workload-ca")
def _() -> Fault:
    """the hub was signed by an earlier workload CA of the same name than the one presented"""
    earlier = ca("iotedge workload ca", edge().device_ca, 0, own_key=key("earlier workload"))
    return Fault([server(earlier).certificate, *edge().workload_ca.line], [edge().root.certificate])


@fault("signature-invalid")
def _() -> Fault:
    """names and key identifiers fit, another key signed"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 1, signing_key=key("impostor"))
    return whole(server(ca("iotedge workload ca", device_ca, 0)))


@fault("signature-invalid/by-root")
def _() -> Fault:
    """the same just below the root, which is not presented"""
    impostor = ca("Impostor Intermediate", edge().root, signing_key=key("impostor"))
    return Fault(server(impostor).line[:-1], [edge().root.certificate])


@fault("not-a-ca")
def _() -> Fault:
    """the device CA has CA:FALSE"""
    device_ca = issue("iotgateway.ca", edge().intermediate, ca=False)
    return whole(server(ca("iotedge workload ca", device_ca, 0)))


@fault("not-a-ca/no-basic-constraints")
def _() -> Fault:
    """the device CA has keyCertSign and no basicConstraints"""
    device_ca = issue("iotgateway.ca", edge().intermediate, ca=None, key_usage=usage("key_cert_sign"))
    return whole(server(ca("iotedge workload ca", device_ca, 0)))


@fault("not-a-ca/root")
def _() -> Fault:
    """the root has keyCertSign and no basicConstraints"""
    return whole(server(root(ca=None, key_usage=usage("key_cert_sign"))), "warning")


@fault("key-usage-missing-cert-sign")
def _() -> Fault:
    """the workload CA has a key usage without keyCertSign"""
    return whole(server(ca("iotedge workload ca", edge().device_ca, 0, key_usage=usage("digital_signature"))))


@fault("key-usage-missing-cert-sign/absent")
def _() -> Fault:
    """the workload CA has no key usage at all"""
    return whole(server(ca("iotedge workload ca", edge().device_ca, 0, key_usage=None)), "warning")


@fault("basic-constraints-not-critical")
def _() -> Fault:
    """the basicConstraints of the device CA are not critical"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 1, bc_critical=False)
    return whole(server(ca("iotedge workload ca", device_ca, 0)), "warning")


@fault("path-length-exceeded")
def _() -> Fault:
    """device CA (pathlen 0) -> workload CA -> hub"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 0)
    return whole(server(ca("iotedge workload ca", device_ca, 0)))


@fault("path-length-exceeded/room")
def _() -> Fault:
    """device CA (pathlen 0), asked whether a workload CA may hang below it"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 0)
    return whole(device_ca, purpose="ca", host=None, depth_below=1, openssl_can_tell=False)


@fault("path-length-exceeded/self-issued")
def _() -> Fault:
    """device CA (pathlen 0) -> itself with another key -> hub: RFC 5280 does not count the second, some stacks do"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 0)
    return whole(server(ca("iotgateway.ca", device_ca, 0, own_key=key("rolled over"))), "warning")


@fault("certificate-expired")
def _() -> Fault:
    """the workload CA ended yesterday"""
    ended = {"not_before": NOW - timedelta(days=3), "not_after": NOW - timedelta(days=1)}
    return whole(server(ca("iotedge workload ca", edge().device_ca, 0, **ended), **ended))


@fault("certificate-expired/root")
def _() -> Fault:
    """the root ended yesterday"""
    return whole(server(root(not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=1))))


@fault("certificate-not-yet-valid")
def _() -> Fault:
    """the hub's certificate begins tomorrow"""
    return whole(server(edge().workload_ca, not_before=NOW + timedelta(days=1)))


@fault("outlives-issuer")
def _() -> Fault:
    """the hub's certificate ends after its CA"""
    return whole(server(edge().workload_ca, not_after=NOW + timedelta(days=31)), "warning")


@fault("authority-key-id-missing")
def _() -> Fault:
    """the device CA does not name its issuer's key"""
    return whole(server(ca("iotgateway.ca", edge().intermediate, aki=False)), "warning")


@fault("subject-key-id-missing")
def _() -> Fault:
    """the device CA does not name its key"""
    return whole(server(ca("iotgateway.ca", edge().intermediate, ski=False)), "warning")


@fault("chain-too-deep")
def _() -> Fault:
    """root -> 16 CAs -> hub"""
    party = root()
    for number in range(16):
        party = ca(f"Level {number}", party)
    return whole(server(party), openssl_can_tell=False)


@fault("certificate-revoked")
def _() -> Fault:
    """the device CA retired its workload CA"""
    revoked = crl(edge().device_ca, edge().workload_ca.certificate.serial_number, days=30)
    return whole(edge().hub, crls=[revoked], openssl_can_tell=False)


@fault("crl-expired")
def _() -> Fault:
    """the device CA's list is out of date"""
    return whole(edge().hub, crls=[crl(edge().device_ca, days=7)], openssl_can_tell=False)


@fault("crl-unusable")
def _() -> Fault:
    """somebody else signed the device CA's list"""
    return whole(edge().hub, crls=[crl(edge().device_ca, days=30, signing_key=key("x"))], openssl_can_tell=False)


@fault("chain-out-of-order")
def _() -> Fault:
    """hub, device CA, workload CA, ...: two are sent the other way round"""
    hub, workload, device, *above = edge().hub.line
    return whole(edge().hub, "warning", presented=[hub, device, workload, *above])


@fault("duplicate-certificate")
def _() -> Fault:
    """the workload CA is sent twice"""
    hub, workload, *above = edge().hub.line
    return whole(edge().hub, "info", presented=[hub, workload, workload, *above])


@fault("unrelated-certificate-in-chain")
def _() -> Fault:
    """the root of another maker is sent too"""
    return whole(edge().hub, "warning", presented=[*edge().hub.line, root("Other Root").certificate])


@fault("duplicate-serial")
def _() -> Fault:
    """root (serial 7) -> intermediate (serial 7) -> hub: both were issued by the root"""
    return whole(server(ca("Test Intermediate", root(serial=7), serial=7)), "warning")


@fault("expires-soon")
def _() -> Fault:
    """the hub's certificate of 31 days has five left"""
    return whole(server(edge().workload_ca), "warning", now=NOW + timedelta(days=25))


@fault("development-certificate")
def _() -> Fault:
    """root of the convenience scripts -> hub"""
    return whole(server(root("Azure IoT Hub CA Cert Test Only")), "info")

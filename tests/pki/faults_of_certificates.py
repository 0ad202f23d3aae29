"""Broken chains, named after their defect: a fault in one certificate, most often the hub's."""

from datetime import UTC, datetime

from cryptography import x509

from tests.pki.chain_forge import (
    CLIENT,
    HOST,
    OTHER_USE,
    SERVER,
    ca,
    client,
    edge,
    key,
    name,
    root,
    server,
    signed_over_sha1,
    usage,
    with_bytes,
    with_serial,
)
from tests.pki.fault import Fault, fault, whole


@fault("unknown-critical-extension")
def _() -> Fault:
    """the hub has a critical extension nobody knows"""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return whole(server(edge().workload_ca, extra=[(unknown, True)]))


@fault("end-entity-is-a-ca")
def _() -> Fault:
    """the hub's certificate is a CA's"""
    both = usage("digital_signature", "key_cert_sign")
    return whole(server(edge().workload_ca, ca=True, key_usage=both), "warning")


@fault("eku-missing-server-auth")
def _() -> Fault:
    """the hub's certificate is for clients"""
    return whole(server(edge().workload_ca, eku=[CLIENT]))


@fault("eku-missing-client-auth")
def _() -> Fault:
    """the leaf's certificate is for servers"""
    return whole(client(edge().device_ca, eku=[SERVER]), purpose="client", host=None)


@fault("eku-not-nested")
def _() -> Fault:
    """the device CA may issue code signing certificates only"""
    device_ca = ca("iotgateway.ca", edge().intermediate, 1, eku=[OTHER_USE])
    return whole(server(ca("iotedge workload ca", device_ca, 0)))


@fault("key-usage-missing-digital-signature")
def _() -> Fault:
    """the hub's key may do nothing that a handshake needs"""
    return whole(server(edge().workload_ca, key_usage=usage("content_commitment")))


@fault("key-usage-missing-digital-signature/encipherment")
def _() -> Fault:
    """the hub's key may encipher keys, and nothing else"""
    return whole(server(edge().workload_ca, key_usage=usage("key_encipherment")), "warning")


@fault("weak-key")
def _() -> Fault:
    """the hub has RSA with 1024 bits"""
    return whole(server(edge().workload_ca, key_kind="rsa-1024", own_key=key("weak", "rsa-1024")))


@fault("weak-key/p224")
def _() -> Fault:
    """the hub has a key on P-224"""
    return whole(server(edge().workload_ca, own_key=key("p224", "ec-p224")), "warning")


@fault("weak-signature")
def _() -> Fault:
    """the hub's certificate is signed over SHA-1"""
    return whole(signed_over_sha1(server(edge().workload_ca)))


@fault("unsupported-algorithm")
def _() -> Fault:
    """the hub has a key on secp256k1"""
    return whole(server(edge().workload_ca, own_key=key("k256", "ec-k256")), "warning")


@fault("hostname-mismatch")
def _() -> Fault:
    """the certificate is for another host"""
    return whole(server(edge().workload_ca, "other.local"))


@fault("hostname-mismatch/wildcard")
def _() -> Fault:
    """a wildcard with one label after it"""
    return whole(server(edge().workload_ca, "*.local", subject="wild"))


@fault("hostname-mismatch/address")
def _() -> Fault:
    """the certificate has another address"""
    return whole(server(edge().workload_ca, "192.0.2.1"), host="192.0.2.2")


@fault("san-missing")
def _() -> Fault:
    """no SAN; the common name fits"""
    return whole(server(edge().workload_ca, names=None), "warning")


@fault("san-missing/other-name")
def _() -> Fault:
    """no SAN; the common name does not fit"""
    return whole(server(edge().workload_ca, "other.local", names=None))


@fault("ip-in-dns-san")
def _() -> Fault:
    """the address stands in a dNSName"""
    return whole(server(edge().workload_ca, "DNS:192.0.2.1", subject="gw"), host="192.0.2.1")


@fault("ip-san-missing")
def _() -> Fault:
    """the client uses an address, the certificate has only names"""
    return whole(server(edge().workload_ca), host="192.0.2.1")


@fault("hostname-invalid")
def _() -> Fault:
    """one of the DNS names is none"""
    return whole(server(edge().workload_ca, HOST, "DNS:no name"), "warning")


@fault("serial-invalid")
def _() -> Fault:
    """a serial number of 22 octets"""
    return whole(with_serial(server(edge().workload_ca), 1 << 170), "warning")


@fault("serial-invalid/zero")
def _() -> Fault:
    """the serial number 0"""
    return whole(with_serial(server(edge().workload_ca), 0), "warning")


@fault("common-name-too-long")
def _() -> Fault:
    """a common name of 65 characters"""
    return whole(server(edge().workload_ca, subject=name("x" * 65)), "warning")


@fault("extension-malformed")
def _() -> Fault:
    """basicConstraints that are no SEQUENCE"""
    broken = x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\x04\x01\x00")
    return whole(server(edge().workload_ca, ca=None, extra=[(broken, True)]))


@fault("key-mismatch")
def _() -> Fault:
    """the key at hand is another's"""
    return whole(edge().hub, key=key("another").public_key(), openssl_can_tell=False)


@fault("name-constraint-violated")
def _() -> Fault:
    """the device CA may certify names below plant.example only"""
    constraints = x509.NameConstraints([x509.DNSName("plant.example")], None)
    return whole(server(ca("iotgateway.ca", edge().intermediate, extra=[(constraints, True)])))


@fault("name-constraint-violated/common-name")
def _() -> Fault:
    """a leaf device without a SAN whose common name looks like a host's outside of the fence"""
    constraints = x509.NameConstraints([x509.DNSName("plant.example")], None)
    fenced = ca("iotgateway.ca", edge().intermediate, 1, extra=[(constraints, True)])
    return whole(client(fenced, "pump.7"), purpose="client", host=None)


@fault("post-quantum-chain")
def _() -> Fault:
    """the root has an ML-DSA key, all below it P-256 keys"""
    top = root("Test Root ML-DSA", own_key=key("ml-dsa", "ml-dsa-44"), digest=None)
    device_ca = ca("iotgateway.ca", top, 1, digest=None)
    return whole(server(ca("iotedge workload ca", device_ca, 0)), openssl_can_tell=False)


@fault("policy-not-nested")
def _() -> Fault:
    """the device CA works under another policy than its issuer"""
    above = ca("Test Intermediate", edge().root, extra=[(_policy(1), False)])
    device_ca = ca("iotgateway.ca", above, 1, extra=[(_policy(2), False)])
    return whole(server(ca("iotedge workload ca", device_ca, 0)), "warning")


def _policy(number: int) -> x509.CertificatePolicies:
    oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.99999.{number}")
    return x509.CertificatePolicies([x509.PolicyInformation(oid, None)])


@fault("certificate-malformed")
def _() -> Fault:
    """the hub's organisation is no UTF-8"""
    hub = server(edge().workload_ca, subject=name("hub", o="broken name"))
    return whole(with_bytes(hub, b"broken name", b"broken \xff\xfe\xfd\xfc"), openssl_can_tell=False)


@fault("key-past-its-date")
def _() -> Fault:
    """the root has RSA-2048 until 2040"""
    return whole(server(root(key_kind="rsa-2048", not_after=datetime(2040, 1, 1, tzinfo=UTC))), "warning")


@fault("name-constraint-violated/mail-in-the-subject")
def _() -> Fault:
    """the device CA is fenced to the mail addresses of a plant, and the subject has another (PKITS 4.13.29)"""
    fence = x509.NameConstraints([x509.RFC822Name("plant.example")], None)
    mail = x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "somebody@elsewhere.example")
    subject = x509.Name([*name(HOST), mail])
    return whole(server(ca("fenced", edge().intermediate, extra=[(fence, True)]), subject=subject))

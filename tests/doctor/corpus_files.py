"""Files with a fault, and files in every form and mix that people have: written into a folder, then asked about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)

from leafward.doctor.case_files import Question
from leafward.doctor.runner import Report
from leafward.doctor.targets import Given, examine
from tests.pki.chain_forge import HOST, NOW, client, edge, key, name, root, server
from tests.pki.fault import crl

PASSWORD = b"an example of a password"
Content = bytes | tuple[bytes, int]


@dataclass(frozen=True)
class Files:
    """Files by name (with a mode where it matters, else 0600), what is asked, and what must be said.

    `targets` None: all but the roots and lists. `found` must be among the findings, `not_found` must not.
    """

    name: str
    files: dict[str, Content]
    cause: str | None
    found: tuple[str, ...] = ()
    targets: tuple[str, ...] | None = None
    roots: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    host: str | None = None
    purpose: Any = None
    roles: dict[str, str] = field(default_factory=dict)
    verdict: str = ""
    password: bytes | None = None
    alone: bool = False  # nothing else may be found

    def examined(self, folder: Path) -> Report:
        """Writes the files and asks about them, as the command does."""
        for file, content in self.files.items():
            data, mode = content if isinstance(content, tuple) else (content, 0o600)
            path = folder / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            path.chmod(mode)
        named = self.targets
        if named is None:
            named = tuple(one for one in self.files if one not in (*self.roots, *self.crls))
        given = Given(*(tuple(str(folder / one) for one in some) for some in (named, self.roots, self.crls)))
        question = Question(now=NOW, name=self.host, purpose=self.purpose, clock_is_real=False)
        (report,) = examine(given, question, lambda _: self.password)
        return report


def pem(*certificates: x509.Certificate) -> bytes:
    """A PEM bundle."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def der(certificate: x509.Certificate) -> bytes:
    """One certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


@cache
def cases() -> tuple[Files, ...]:
    """All of them."""
    makers: tuple[Callable[[], list[Files]], ...] = (_damaged, _keys, _wrong, _forms, _mixes, _lists)
    return tuple(one for make in makers for one in make())


HUB = edge().hub
LINE = tuple(HUB.line)
CHAIN, ROOT, KEY = pem(*LINE[:-1]), pem(LINE[-1]), HUB.key_pem
OTHER_KEY = key("another").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
LOCKED = key("level 0").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD))
REQUEST = (
    x509.CertificateSigningRequestBuilder().subject_name(name("pump-7")).sign(key("another"), hashes.SHA256())
).public_bytes(Encoding.PEM)


def _damaged() -> list[Files]:
    """Cut off, empty, edited."""
    base64 = b"".join(CHAIN.split(b"\n")[1:-2][:10])
    bad_end = CHAIN.replace(b"-----END CERTIFICATE-----\n-----BEGIN", b"-----END CERTIFICATE----------BEGIN", 1)
    mangled = CHAIN.replace(CHAIN.split(b"\n")[3], b"?" * 64, 1)
    undecodable = b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"
    rooted: dict[str, Any] = {"roots": ("root.pem",), "host": HOST}

    def one(title: str, data: bytes, cause: str | None, **more: Any) -> Files:
        return Files(title, {"chain.pem": data, "root.pem": ROOT}, cause, **{**rooted, **more})

    return [
        Files("nothing there", {}, "file-missing", targets=("nowhere.pem",)),
        Files("a folder as root", {"chain.pem": CHAIN, "empty/x.txt": b"x"}, "file-not-readable",
              targets=("chain.pem",), roots=("empty",)),
        Files("root missing", {"chain.pem": CHAIN}, "file-missing", targets=("chain.pem",), roots=("none.pem",)),
        one("empty", b"", "no-certificate"),
        one("blanks", b" \n\n", "no-certificate"),
        Files("the root is empty", {"chain.pem": CHAIN, "no.pem": b""}, "no-certificate", roots=("no.pem",)),
        one("cut off", CHAIN[:-40], "truncated-pem"),
        one("cut off in the first", CHAIN[:300], "truncated-pem"),
        one("begins in the middle", CHAIN[100:], "truncated-pem"),
        one("an end without a beginning", b"-----END CERTIFICATE-----\n", "truncated-pem"),
        one("joined without a line end", bad_end, "truncated-pem"),
        one("edited", mangled, "truncated-pem"),
        one("DER cut off", der(LINE[0])[:-5], "truncated-pem"),
        one("base64 alone", base64, "not-pem"),
        one("text", b"Dear operator,\nplease find attached\n", "not-pem"),
        one("a picture", b"\x89PNG\r\n\x1a\n" + bytes(100), "not-pem"),
        one("UTF-16", CHAIN.decode().encode("utf-16"), "not-pem"),
        one("indented", b"\n".join(b"  " + line for line in CHAIN.split(b"\n")), "not-pem"),
        one("CR alone", CHAIN.replace(b"\n", b"\r"), "not-pem"),
        one("out of JSON", CHAIN.replace(b"\n", b"\\n"), "not-pem"),
        one("out of a shell", CHAIN.replace(b"\n", b" "), "not-pem"),
        one("a Java key store", bytes.fromhex("feedfeed00000002") + bytes(100), "not-pem"),
        one("quotes before it", b'"' + CHAIN + b'"', "truncated-pem", alone=True),
        one("a block that is no certificate", undecodable, "certificate-malformed"),
        one("CRLF", CHAIN.replace(b"\n", b"\r\n"), None, found=("pem-crlf-or-bom",), verdict="ok"),
        one("a byte order mark", b"\xef\xbb\xbf" + CHAIN, None, found=("pem-crlf-or-bom",), verdict="ok"),
        one("text around", b"Certificate:\n  Data:\n" + CHAIN + b"bye\n", None, verdict="ok"),
        one("root first", pem(*reversed(LINE)), "chain-file-leaf-not-first"),
        one("CAs first", pem(*LINE[1:], LINE[0]), "chain-file-leaf-not-first"),
    ]  # fmt: skip


def _keys() -> list[Files]:
    """Private keys beside certificates."""
    leaf = server(edge().workload_ca, own_key=key("level 0"))
    locked_chain = pem(*leaf.line[:-1])
    pfx = pkcs12.serialize_key_and_certificates(b"hub", HUB.key, LINE[0], LINE[1:-1], NoEncryption())
    locked_pfx = pkcs12.serialize_key_and_certificates(
        b"hub", HUB.key, LINE[0], LINE[1:-1], BestAvailableEncryption(PASSWORD)
    )
    rooted: dict[str, Any] = {"roots": ("root.pem",)}
    chain = {"chain.pem": CHAIN, "root.pem": ROOT}
    device_key = edge().device_ca.key_pem
    rounds = b"\x30\x0c\x04\x04salt\x02\x04\x7f\xff\xff\xff"
    greedy = b"\x30\x13\x02\x01\x03" + rounds
    return [
        Files("a key of another", {**chain, "key.pem": OTHER_KEY}, "key-mismatch", **rooted),
        Files("the device CA's key", {**chain, "key.pem": device_key}, "key-mismatch", **rooted),
        Files("the key of a CA with its CA", {**chain, "key.pem": KEY, "ca.pem": pem(LINE[2]), "ca.key": device_key},
              None, verdict="ok", **rooted),
        Files("key and chain", {**chain, "key.pem": KEY}, None, verdict="ok", host=HOST, **rooted,
              roles={"chain.pem": "server chain", "key.pem": "private key", "root.pem": "trusted roots"}),
        Files("key and chain in one file", {"both.pem": KEY + CHAIN, "root.pem": ROOT}, None, verdict="ok", **rooted),
        Files("open to all", {**chain, "key.pem": (KEY, 0o644)}, None, ("file-too-open",), verdict="warning", **rooted),
        Files("open to the group", {**chain, "key.pem": (KEY, 0o640)}, None, ("file-too-open",), **rooted),
        Files("locked", {"chain.pem": locked_chain, "root.pem": ROOT, "key.pem": LOCKED}, "key-encrypted", **rooted),
        Files("locked, opened", {"chain.pem": locked_chain, "root.pem": ROOT, "key.pem": LOCKED}, None, verdict="ok",
              password=PASSWORD, **rooted),
        Files("locked, wrong password", {**chain, "key.pem": LOCKED}, "key-encrypted", password=b"x", **rooted),
        Files("locked, opened, another's", {**chain, "key.pem": LOCKED}, "key-mismatch", password=PASSWORD, **rooted),
        Files("PKCS#12", {"hub.pfx": pfx, "root.pem": ROOT}, None, verdict="ok", **rooted,
              roles={"hub.pfx": "server chain, private key"}),
        Files("PKCS#12, open to all", {"hub.pfx": (pfx, 0o644), "root.pem": ROOT}, None, ("file-too-open",), **rooted),
        Files("PKCS#12, locked", {"hub.pfx": locked_pfx, "root.pem": ROOT}, "key-encrypted",
              roles={"root.pem": "trusted roots"}, **rooted),
        Files("PKCS#12 as root, locked", {"chain.pem": CHAIN, "root.p12": (locked_pfx, 0o644)}, "key-encrypted",
              roots=("root.p12",), host=HOST, alone=True),
        Files("PKCS#12, locked, and no root told", {"hub.pfx": locked_pfx, "root.pem": ROOT}, "key-encrypted",
              targets=("hub.pfx", "root.pem"), host=HOST, roles={"root.pem": "trusted roots"}),
        Files("PKCS#12, opened", {"hub.pfx": locked_pfx, "root.pem": ROOT}, None, verdict="ok",
              password=PASSWORD, **rooted),
        Files("PKCS#12 that asks for years", {"hub.pfx": greedy, "root.pem": ROOT}, "key-encrypted", **rooted,
              password=PASSWORD),
    ]  # fmt: skip


def _wrong() -> list[Files]:
    """Well-formed, and another thing."""
    public = key("another").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    openssh = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    a_list = crl(edge().device_ca, days=30).public_bytes(Encoding.PEM)
    request = x509.load_pem_x509_csr(REQUEST).public_bytes(Encoding.DER)
    chain = {"chain.pem": CHAIN}
    return [
        Files("a key alone", {"key.pem": KEY}, "wrong-object"),
        Files("a request alone", {"hub.csr": REQUEST}, "wrong-object"),
        Files("a request in DER", {"hub.csr": request}, "wrong-object"),
        Files("a public key", {"key.pub": public}, "wrong-object"),
        Files("an OpenSSH key", {"id": openssh}, "wrong-object"),
        Files("a list alone", {"ca.crl": a_list}, "wrong-object"),
        Files("a key as root", {**chain, "key.pem": KEY}, "wrong-object", roots=("key.pem",)),
        Files("a list as root", {**chain, "ca.crl": a_list}, "wrong-object", roots=("ca.crl",)),
        Files("a certificate as list", {**chain, "root.pem": ROOT}, "wrong-object", crls=("root.pem",)),
        Files("the hub as root", {**chain, "hub.pem": pem(LINE[0])}, "root-file-is-not-root", roots=("hub.pem",)),
        Files("the device CA as root", {**chain, "ca.pem": pem(LINE[2])}, "root-file-is-not-root", roots=("ca.pem",)),
    ]  # fmt: skip


def _forms() -> list[Files]:
    """Every form a certificate comes in."""
    several = {f"{place}.der": der(one) for place, one in enumerate(LINE)}
    bundle = pkcs7.serialize_certificates(list(LINE[:-1]), Encoding.DER)
    bundle_pem = pkcs7.serialize_certificates(list(LINE[:-1]), Encoding.PEM)
    return [
        Files("DER, each in a file", several, None, ("intermediate-missing",), verdict="ok"),
        Files("PEM, each in a file", {f"{n}.pem": pem(one) for n, one in enumerate(LINE[::-1])}, None, verdict="ok"),
        Files("one DER alone", {"root.pem": ROOT, "hub.der": der(LINE[0])}, "intermediate-missing"),
        Files("PKCS#7 in PEM", {"chain.p7b": bundle_pem, "root.pem": ROOT}, None, roots=("root.pem",)),
        Files("PKCS#7", {"chain.p7b": bundle, "root.pem": ROOT}, None, roots=("root.pem",)),
    ]  # fmt: skip


def _mixes() -> list[Files]:
    """Several files at once: which part each plays."""
    leaf = client(edge().device_ca)
    client_chain = pem(*leaf.line[:-1])
    other = pem(root("Other").certificate)
    ended = client(edge().device_ca, "pump-8", not_after=NOW - timedelta(hours=1))
    any_use = server(edge().workload_ca, eku=None)
    ca_chain = pem(*edge().device_ca.line)
    return [
        Files("a server's and a leaf's chain", {"a.pem": client_chain, "b.pem": CHAIN, "root.pem": ROOT}, None,
              host=HOST, verdict="ok", roles={"a.pem": "client chain", "b.pem": "server chain"}),
        Files("the leaf's chain ended", {"a.pem": pem(*ended.line[:-1]), "b.pem": CHAIN, "root.pem": ROOT},
              "certificate-expired", host=HOST),
        Files("a leaf's chain", {"a.pem": client_chain, "root.pem": ROOT}, None, verdict="ok"),
        Files("a leaf's chain with a name", {"a.pem": client_chain, "root.pem": ROOT}, "eku-missing-server-auth",
              host=HOST),
        Files("another root", {"chain.pem": CHAIN, "root.pem": other}, "root-not-trusted"),
        Files("roots given twice", {"chain.pem": CHAIN, "a.pem": other, "root.pem": ROOT}, None, roots=("root.pem",)),
        Files("a bundle", {"chain.pem": CHAIN, "bundle.pem": other + ROOT}, None, verdict="ok",
              roles={"bundle.pem": "trusted roots"}),
        Files("a device CA", {"ca.pem": ca_chain}, None, verdict="ok", roles={"ca.pem": "CA chain"}),
        Files("a device CA and its key", {"ca.pem": ca_chain, "key.pem": edge().device_ca.key_pem}, None, verdict="ok"),
        Files("a device CA and another key", {"ca.pem": ca_chain, "key.pem": OTHER_KEY}, "key-mismatch"),
        Files("a device CA, root first", {"ca.pem": pem(*reversed(edge().device_ca.line))}, None,
              ("chain-file-leaf-not-first",)),
        Files("a root alone", {"root.pem": ROOT}, None, verdict="ok"),
        Files("a folder", {"d/chain.pem": CHAIN, "d/key.pem": KEY, "d/root.pem": ROOT, "d/log.txt": b"x"}, None,
              targets=("d",), host=HOST, verdict="ok"),
        Files("a folder with a damaged file", {"d/chain.pem": CHAIN[:200], "d/root.pem": ROOT}, "truncated-pem",
              targets=("d",)),
        Files("a folder with a request", {"d/chain.pem": CHAIN, "d/root.pem": ROOT, "d/hub.csr": REQUEST}, None,
              targets=("d",), verdict="ok"),
        Files("an empty folder", {"d/x.txt": b"x"}, "file-not-readable", targets=("d",)),
        Files("no EKU", {"c.pem": pem(*any_use.line), "root.pem": ROOT}, None, host=HOST, verdict="ok"),
    ]  # fmt: skip


def _lists() -> list[Files]:
    """Revocation lists."""
    serial = edge().workload_ca.certificate.serial_number
    revoked = crl(edge().device_ca, serial, days=30).public_bytes(Encoding.PEM)
    good = crl(edge().device_ca, days=30).public_bytes(Encoding.DER)
    old = crl(edge().device_ca, days=7).public_bytes(Encoding.PEM)
    forged = crl(edge().device_ca, days=30, signing_key=key("x")).public_bytes(Encoding.PEM)
    chain = {"chain.pem": CHAIN, "root.pem": ROOT}
    one: dict[str, Any] = {"roots": ("root.pem",), "crls": ("ca.crl",)}
    return [
        Files("revoked", {**chain, "ca.crl": revoked}, "certificate-revoked", **one),
        Files("not revoked", {**chain, "ca.crl": good}, None, verdict="ok", **one),
        Files("an old list", {**chain, "ca.crl": old}, "crl-expired", **one),
        Files("a forged list", {**chain, "ca.crl": forged}, "crl-unusable", **one),
        Files("a list among the targets", {**chain, "ca.crl": revoked}, "certificate-revoked", roots=("root.pem",)),
    ]

"""Folders of certificates as other tools leave them, made by those tools: `openssl ca` and its layouts."""

import subprocess
from pathlib import Path

CONFIGURATION = """
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = {newcerts}
certificate = {certificate}
private_key = {key}
serial = serial
crlnumber = crlnumber
default_md = sha256
default_days = 365
default_crl_days = 30
policy = any
x509_extensions = {extensions}
unique_subject = no
[any]
commonName = supplied
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ca_critical]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[ca_easy]
basicConstraints = CA:TRUE
keyUsage = keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[req]
distinguished_name = nothing
[nothing]
"""
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def openssl(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class OpensslCa:
    """A CA that `openssl ca` runs in a folder; `passphrase` None leaves its key plain, `easy` is EasyRSA's layout."""

    def __init__(self, folder: Path, *, passphrase: str | None = None, easy: bool = False) -> None:
        self.folder = folder
        self._passin = ["-passin", f"pass:{passphrase}"] if passphrase else []
        names = (
            ("certs_by_serial", "ca.crt", "private/ca.key") if easy else ("newcerts", "cacert.pem", "private/cakey.pem")
        )
        self.newcerts, self.certificate, self.key = (folder / name for name in names)
        for made in (self.newcerts, self.key.parent, folder / "issued"):
            made.mkdir(parents=True, exist_ok=True)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n")
        (folder / "crlnumber").write_text("07\n")
        values = dict(zip(("newcerts", "certificate", "key"), names, strict=True), extensions="client")
        (folder / "openssl.cnf").write_text(CONFIGURATION.format(**values))
        secret = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        kind = "ca_easy" if easy else "ca_critical"
        self._run("req", "-x509", *EC, *secret, "-subj", "/CN=Their CA", "-days", "900", "-extensions", kind,
                  "-keyout", names[2], "-out", names[1])  # fmt: skip

    def issue(self, name: str, *, extensions: str = "client") -> Path:
        """A certificate as `issued/NAME.crt`, and its copy by serial."""
        out = self.folder / "issued" / f"{name}.crt"
        self._run("req", *EC, "-nodes", "-subj", f"/CN={name}", "-keyout", f"private/{name}.key", "-out", f"{name}.csr")
        self._run("ca", "-batch", *self._passin, "-extensions", extensions, "-notext",
                  "-in", f"{name}.csr", "-out", str(out))  # fmt: skip
        return out

    def revoke(self, certificate: Path, reason: str) -> None:
        self._run("ca", *self._passin, "-revoke", str(certificate), "-crl_reason", reason)

    def publish(self) -> Path:
        self._run("ca", *self._passin, "-gencrl", "-out", "crl.pem")
        return self.folder / "crl.pem"

    def _run(self, command: str, *arguments: str) -> None:
        openssl(self.folder, command, "-config", "openssl.cnf", *arguments)

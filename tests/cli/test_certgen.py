"""`leafward certgen`: the convenience scripts' files, subjects and passwords; openssl judges what it makes.

root -> intermediate -> device CA, device, identity, server          root -> verification
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge import leafward

ROOT = "certs/azure-iot-test-only.root.ca.cert.pem"
CA, CHAIN = "azure-iot-test-only.root.ca", "azure-iot-test-only.chain.ca"
INTERMEDIATE = "azure-iot-test-only.intermediate"


def certgen(folder: Path, *arguments: str, key: str | None = "ec-p256", code: int = 0, **environment: str) -> str:
    """Runs a command in a folder; what it said."""
    chosen = ["--key", key] if key else []
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        done = leafward("certgen", *arguments, *chosen, cwd=folder)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def verified(folder: Path, leaf: str, *, root: str = ROOT, untrusted: str | None = None) -> bool:
    chain = ["-untrusted", str(folder / (untrusted or leaf))]
    return ": OK" in openssl("verify", "-x509_strict", "-CAfile", folder / root, *chain, folder / leaf)


def subject(path: Path) -> str:
    return openssl("x509", "-in", path, "-noout", "-subject", "-nameopt", "RFC2253").strip().removeprefix("subject=")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {
        str(path.relative_to(folder)) for path in (folder / "newcerts").glob("*.pem")
    }


@pytest.fixture(scope="module")
def iotedge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iotedge")
    certgen(folder, "create_root_and_intermediate")
    return folder


def of(prefix: str) -> set[str]:
    """The files that IoT Edge's script makes for one certificate."""
    certs = {f"certs/{prefix}{end}" for end in (".cert.pem", ".cert.pfx", "-full-chain.cert.pem")}
    return {f"private/{prefix}.key.pem", f"csr/{prefix}.csr.pem", *certs}


INDEX = {"index.txt", "index.txt.attr", "serial"}


def test_the_hierarchy_of_iot_edge(iotedge: Path) -> None:
    """root -> intermediate, with the script's names, files and passwords."""
    assert files(iotedge) >= INDEX | {ROOT, f"private/{CA}.key.pem"} | of(INTERMEDIATE)
    assert subject(iotedge / ROOT) == "CN=Azure_IoT_Hub_CA_Cert_Test_Only"
    assert subject(iotedge / f"certs/{INTERMEDIATE}.cert.pem") == "CN=Azure_IoT_Hub_Intermediate_Cert_Test_Only"
    for name in (CA, INTERMEDIATE):
        key = iotedge / f"private/{name}.key.pem"
        assert b"ENCRYPTED" in key.read_bytes()
        assert "PRIVATE" in openssl("pkey", "-in", key, "-passin", "pass:1234")
    assert verified(iotedge, f"certs/{INTERMEDIATE}.cert.pem")


@pytest.mark.parametrize(
    ("command", "prefix", "name"),
    [
        ("create_device_certificate", "iot-device-{}", "CN=a"),
        ("create_edge_device_certificate", "iot-edge-device-{}", "CN=b.ca"),
        ("create_edge_device_ca_certificate", "iot-edge-device-ca-{}", "CN=c.ca"),
        ("create_edge_device_identity_certificate", "iot-edge-device-identity-{}", "CN=d"),
        ("create_edge_server_certificate", "iot-edge-server-{}", "CN=E.local"),
        ("create_verification_certificate", "iot-device-verification-code", "CN=7A8B"),
    ],
)
def test_the_papers_of_iot_edge(iotedge: Path, command: str, prefix: str, name: str) -> None:
    """Files, subject, chain up to the root, a PFX with an empty password that holds the whole chain."""
    argument = name.removeprefix("CN=").removesuffix(".ca")
    said = json.loads(certgen(iotedge, command, argument, "--json", "--force", FORCE_NO_PROD_WARNING="true"))
    prefix = prefix.format(argument)
    assert of(prefix) == {str(Path(path).relative_to(iotedge)) for path in said["made"][0]["files"]}
    chain = f"certs/{prefix}-full-chain.cert.pem"
    levels = 2 if "verification" in command else 3
    assert (iotedge / chain).read_text().count("BEGIN CERTIFICATE") == levels
    assert subject(iotedge / f"certs/{prefix}.cert.pem") == name
    assert verified(iotedge, f"certs/{prefix}.cert.pem", untrusted=chain)
    pfx = openssl("pkcs12", "-in", iotedge / f"certs/{prefix}.cert.pfx", "-passin", "pass:", "-nodes")
    assert pfx.count("BEGIN CERTIFICATE") == levels
    assert f"friendlyName: {prefix}" in pfx
    assert "PRIVATE KEY" in pfx


def test_what_the_scripts_get_wrong(iotedge: Path) -> None:
    """Keys 0600, random serials, key identifiers, the name as a SAN, an index that tells of all."""
    certgen(iotedge, "create_edge_server_certificate", "Srv.local")
    text = openssl("x509", "-in", iotedge / "certs/iot-edge-server-Srv.local.cert.pem", "-noout", "-text")
    assert "DNS:srv.local" in text
    assert "Subject Key Identifier" in text
    assert "Authority Key Identifier" in text
    for key in (*(iotedge / "private").iterdir(), *(iotedge / "certs").glob("*.pfx")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    lines = (iotedge / "index.txt").read_text().splitlines()
    serials = {line.split("\t")[3] for line in lines}
    assert len(serials) == len(lines)
    assert all(len(serial) == 40 and (iotedge / "newcerts" / f"{serial}.pem").exists() for serial in serials)


def test_a_second_run_deletes_nothing(iotedge: Path) -> None:
    certgen(iotedge, "create_device_certificate", "kept")
    certificate = iotedge / "certs/iot-device-kept.cert.pem"
    before = certificate.read_bytes(), (iotedge / ROOT).read_bytes()
    assert "exists" in certgen(iotedge, "create_device_certificate", "kept", code=3)
    assert "has a hierarchy already" in certgen(iotedge, "create_root_and_intermediate", code=3)
    assert (certificate.read_bytes(), (iotedge / ROOT).read_bytes()) == before
    certgen(iotedge, "create_device_certificate", "kept", "--force")
    assert certificate.read_bytes() != before[0]


def test_force_begins_anew(tmp_path: Path) -> None:
    certgen(tmp_path, "create_root_and_intermediate")
    certgen(tmp_path, "create_device_certificate", "gone")
    root = (tmp_path / ROOT).read_bytes()
    said = certgen(tmp_path, "create_root_and_intermediate", "--force", "--dry-run")
    assert f"replaces {tmp_path / 'certs'}" in said
    assert (tmp_path / ROOT).read_bytes() == root
    certgen(tmp_path, "create_root_and_intermediate", CERTGEN_FORCE="true")
    assert (tmp_path / ROOT).read_bytes() != root
    assert not (tmp_path / "certs/iot-device-gone.cert.pem").exists()


def test_a_killed_run_is_finished(tmp_path: Path) -> None:
    """The certificate is what counts: files without it are written anew, a root without an intermediate gets one."""
    certgen(tmp_path, "create_root_and_intermediate")
    root = (tmp_path / ROOT).read_bytes()
    (tmp_path / f"certs/{INTERMEDIATE}.cert.pem").unlink()
    certgen(tmp_path, "create_root_and_intermediate")
    assert (tmp_path / ROOT).read_bytes() == root
    assert verified(tmp_path, f"certs/{INTERMEDIATE}.cert.pem")


def test_passwords_of_ones_own(tmp_path: Path) -> None:
    """By the environment and by a file; a wrong one is told, and none stands in an argument."""
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    given = ["--intermediate-password-file", str(secret)]
    certgen(tmp_path, "create_root_and_intermediate", *given, ROOT_CA_PASSWORD="battery")
    assert "PRIVATE" in openssl("pkey", "-in", tmp_path / f"private/{CA}.key.pem", "-passin", "pass:battery")
    key = tmp_path / f"private/{INTERMEDIATE}.key.pem"
    assert "PRIVATE" in openssl("pkey", "-in", key, "-passin", "pass:correct horse")
    said = certgen(tmp_path, "create_device_certificate", "a", code=3)
    assert "does not open" in said
    assert not (tmp_path / "certs/iot-device-a.cert.pem").exists()
    certgen(tmp_path, "create_device_certificate", "a", *given, PFX_PASSWORD="staple")
    assert "CN = a" in openssl(
        "pkcs12", "-in", tmp_path / "certs/iot-device-a.cert.pfx", "-passin", "pass:staple", "-nokeys"
    )
    certgen(tmp_path, "create_verification_certificate", "v", ROOT_CA_PASSWORD="battery")


def test_somebodys_root(tmp_path: Path) -> None:
    """install_root_ca_from_files and …_from_cli: their root, an intermediate of ours; a foreign key is refused."""
    source = tmp_path / "source"
    source.mkdir()
    key, certificate, other = source / "k.pem", source / "c.pem", source / "o.pem"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=Theirs"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    openssl(*new, "-passout", "pass:theirs", "-keyout", key, "-out", certificate)
    refused = ["install_root_ca_from_files", str(certificate), str(key)]
    assert "no keyUsage" in certgen(tmp_path, *refused, code=3, ROOT_CA_PASSWORD="theirs")
    assert not (tmp_path / "certs").exists()
    openssl(*new, *usage, "-passout", "pass:theirs", "-keyout", key, "-out", certificate)
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", other)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "not the certificate's" in certgen(
        folder, "install_root_ca_from_files", str(certificate), str(other), code=3
    )
    said = certgen(folder, "install_root_ca_from_files", str(certificate), str(key), "theirs")
    assert "stood in the command line" in said
    assert subject(folder / ROOT) == "CN=Theirs"
    assert verified(folder, f"certs/{INTERMEDIATE}.cert.pem")
    text = [certificate.read_text(), key.read_text()]
    certgen(folder, "install_root_ca_from_cli", *text, "--force", ROOT_CA_PASSWORD="theirs")
    certgen(folder, "create_device_certificate", "a")
    assert verified(folder, "certs/iot-device-a.cert.pem", untrusted="certs/iot-device-a-full-chain.cert.pem")


def test_the_sdk_dialect(tmp_path: Path) -> None:
    """root -> device and verification; root -> intermediate -> device and device CA: one name for all files."""
    sdk = ["--dialect", "sdk-c"]
    certgen(tmp_path, "create_root_and_intermediate", *sdk)
    hierarchy = {ROOT, f"certs/{CHAIN}.cert.pem", f"certs/{INTERMEDIATE}.cert.pem", f"csr/{INTERMEDIATE}.csr.pem"}
    keys = {f"private/{CA}.key.pem", f"private/{INTERMEDIATE}.key.pem"}
    assert files(tmp_path) == INDEX | hierarchy | keys
    assert (tmp_path / "intermediateCerts").is_dir()
    assert subject(tmp_path / ROOT) == "CN=Azure IoT Hub CA Cert Test Only"
    # From here on the folder says which dialect it is.
    certgen(tmp_path, "create_device_certificate", "a")
    assert verified(tmp_path, "certs/new-device.cert.pem")
    certgen(tmp_path, "create_device_certificate_from_intermediate", "b", "--force")
    certgen(tmp_path, "create_edge_device_certificate", "gw")
    certgen(tmp_path, "create_verification_certificate", "7A8B")
    for prefix in ("new-device", "new-edge-device"):
        assert verified(tmp_path, f"certs/{prefix}.cert.pem", untrusted=f"certs/{CHAIN}.cert.pem")
    assert subject(tmp_path / "certs/new-edge-device.cert.pem") == "CN=gw.ca"
    assert verified(tmp_path, "certs/verification-code.cert.pem")
    pfx = openssl("pkcs12", "-in", tmp_path / "certs/new-edge-device.cert.pfx", "-passin", "pass:1234", "-nokeys")
    assert pfx.count("BEGIN CERTIFICATE") == 1


def test_powershell_of_iot_edge(tmp_path: Path) -> None:
    """New-CACerts…: bash's files under PowerShell's names; the algorithm is remembered; case does not matter."""
    certgen(tmp_path, "New-CACertsCertChain", "ecc", key=None)
    assert (tmp_path / "algorithmUsed.txt").read_text() == "ecc\n"
    assert subject(tmp_path / ROOT) == "CN=Azure IoT CA TestOnly Root CA"
    assert subject(tmp_path / f"certs/{INTERMEDIATE}.cert.pem") == "CN=Azure IoT CA TestOnly Intermediate CA"
    for command, prefix, name in (
        ("new-cacertsdevice", "iot-device-a", "CN=a"),
        ("New-CACertsEdgeDevice", "iot-edge-device-a", "CN=a.ca"),
        ("New-CACertsEdgeDeviceCA", "iot-edge-device-ca-a", "CN=a.ca"),
        ("New-CACertsEdgeDeviceIdentity", "iot-edge-device-identity-a", "CN=a"),
        ("New-CACertsEdgeServer", "iot-edge-server-a", "CN=a"),
    ):
        certgen(tmp_path, command, "a", key=None, FORCE_NO_PROD_WARNING="")
        assert files(tmp_path) >= of(prefix)
        assert subject(tmp_path / f"certs/{prefix}.cert.pem") == name
    assert certgen(tmp_path, "Test-CACertsPrerequisites", key=None, code=1)
    certgen(tmp_path, "create_device_certificate", "b", "--dialect", "powershell", key=None)
    text = openssl("x509", "-in", tmp_path / "certs/iot-device-b.cert.pem", "-noout", "-text")
    assert "prime256v1" in text


def test_powershell_of_the_sdk(tmp_path: Path) -> None:
    """root -> 1 -> 2 -> 3; devices serve as client and server; the password of the PFX has to be given."""
    certgen(tmp_path, "New-CACertsCertChain", "ecc", "--dialect", "sdk-c", key=None)
    names = [subject(tmp_path / f"Intermediate{n}.pem") for n in (1, 2, 3)]
    assert names == [f"CN=Azure IoT CA TestOnly Intermediate {n} CA" for n in (1, 2, 3)]
    assert "no password for the PFX" in certgen(tmp_path, "New-CACertsDevice", "a", key=None, code=3)
    certgen(tmp_path, "New-CACertsDevice", "a", key=None, PFX_PASSWORD="p")
    certgen(tmp_path, "New-CACertsEdgeDevice", "gw", key=None, PFX_PASSWORD="p")
    certgen(tmp_path, "New-CACertsVerificationCert", "7A8B", key=None)
    certgen(tmp_path, "Write-CACertsCertificatesForEdgeDevice", "gw", key=None)
    certgen(tmp_path, "Write-CACertsCertificatesToEnvironment", "a", "hub.example", "true", key=None)
    made = {f"a{end}" for end in ("-all.pem", "-private.pem", "-public.pem", ".pfx", "-environment.sh")}
    edge = {"certs/new-edge-device.cert.pem", "certs/new-edge-device-full-chain.cert.pem", ROOT}
    assert files(tmp_path) >= made | edge | {"RootCA.cer", "RootCA.pem", "verifyCert4.cer", "algorithmUsed.txt"}
    assert "DNS:a" in openssl("x509", "-in", tmp_path / "a-public.pem", "-noout", "-text")
    assert verified(tmp_path, "a-public.pem", root="RootCA.pem")
    assert verified(tmp_path, "certs/new-edge-device.cert.pem", untrusted="certs/new-edge-device-full-chain.cert.pem")
    assert "CN = 7A8B" in openssl("x509", "-inform", "DER", "-in", tmp_path / "verifyCert4.cer", "-noout", "-subject")
    script = f'. {tmp_path}/a-environment.sh; printf %s "$IOTHUB_CA_X509_PUBLIC" | grep -c BEGIN'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "3\n"


def test_any_ca_is_proved(iotedge: Path, tmp_path: Path) -> None:
    """root -> intermediate -> device CA -> verification, and by a CA that is not of this folder."""
    certgen(iotedge, "create_edge_device_certificate", "proved")
    certgen(iotedge, "create_verification_certificate", "CODE", "--force", "--issuer", "iot-edge-device-proved")
    path = "certs/iot-device-verification-code"
    assert verified(iotedge, f"{path}.cert.pem", untrusted=f"{path}-full-chain.cert.pem")
    given = ["--issuer", str(iotedge / "certs/iot-edge-device-proved-full-chain.cert.pem")]
    given += ["--issuer-key", str(iotedge / "private/iot-edge-device-proved.key.pem")]
    certgen(tmp_path, "create_verification_certificate", "CODE", *given)
    assert (tmp_path / f"{path}-full-chain.cert.pem").read_text().count("BEGIN") == 4
    assert "no CA 'nobody'" in certgen(iotedge, "create_device_certificate", "x", "--issuer", "nobody", code=3)


def test_how_long_they_live(tmp_path: Path) -> None:
    certgen(tmp_path, "create_root_and_intermediate", DEFAULT_VALIDITY_DAYS="400")
    assert openssl("x509", "-in", tmp_path / ROOT, "-noout", "-checkend", str(399 * 86400)).startswith("Cert")
    assert "no lifetime" in certgen(tmp_path, "create_device_certificate", "a", code=2, DEFAULT_VALIDITY_DAYS="x")
    certgen(tmp_path, "create_device_certificate", "a", DEFAULT_VALIDITY_DAYS="5000")
    ends = [
        openssl("x509", "-in", tmp_path / path, "-noout", "-enddate") for path in (ROOT, "certs/iot-device-a.cert.pem")
    ]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create_device_certificat", "a"], "did you mean create_device_certificate?"),
        (["create_device_certificate"], "got 0 arguments"),
        (["create_device_certificate", "a", "b"], "got 2 arguments"),
        (["create_edge_server_certificate", "a", "--dialect", "sdk-c"], "--dialect iotedge"),
        (["New-CACertsCertChain", "dsa"], "expected ecc or rsa"),
        (["create_device_certificate", "../a"], "cannot be part of a file name"),
        (["create_root_and_intermediate", "--key", "rsa-1024"], "no key type"),
    ],
)
def test_wrong_use(iotedge: Path, arguments: list[str], words: str) -> None:
    before = files(iotedge)
    assert words in certgen(iotedge, *arguments, key=None, code=2)
    assert files(iotedge) == before


def test_no_hierarchy_yet(tmp_path: Path) -> None:
    assert "leafward certgen create_root_and_intermediate" in certgen(
        tmp_path, "create_device_certificate", "a", code=3
    )
    assert not list(tmp_path.iterdir())


def test_the_warning(iotedge: Path) -> None:
    words = "never for a product"
    assert words in certgen(iotedge, "create_device_certificate", "w1")
    assert words in certgen(iotedge, "create_device_certificate", "w2", FORCE_NO_PROD_WARNING="false")
    assert words not in certgen(iotedge, "create_device_certificate", "w3", FORCE_NO_PROD_WARNING="true")


def test_the_scripts_own_keys(iotedge: Path) -> None:
    """RSA-2048 for a device, by the program itself, which searches on every processor."""
    program = Path(sys.prefix) / "bin" / "leafward"
    command = [str(program), "certgen", "create_device_certificate", "rsa"]
    subprocess.run(command, cwd=iotedge, check=True, capture_output=True)
    text = openssl("x509", "-in", iotedge / "certs/iot-device-rsa.cert.pem", "-noout", "-text")
    assert "(2048 bit)" in text


def test_the_entry_of_scripts(iotedge: Path, tmp_path: Path) -> None:
    """`./certGen.sh create_…` by a link in the folder, called from anywhere: it works in that folder."""
    code = "import sys; sys.argv = sys.argv[1:]; from leafward.cli.certgen_script import main; main()"
    folder = tmp_path / "folder"
    shutil.copytree(iotedge, folder)
    (folder / "certGen.sh").symlink_to(sys.executable)
    command = [sys.executable, "-c", code, str(folder / "certGen.sh"), "create_device_certificate", "linked"]
    subprocess.run([*command, "--key", "ec-p256"], cwd=tmp_path, check=True, capture_output=True)
    assert (folder / "certs/iot-device-linked.cert.pem").exists()


def test_nobody_to_ask(iotedge: Path) -> None:
    """Without a terminal no question is passed over in silence."""
    before = files(iotedge)
    done = subprocess.run(
        [sys.executable, "-m", "leafward", "certgen", "create_device_certificate", "q", "--ask-passwords"],
        cwd=iotedge, start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, files(iotedge)) == (2, before)
    assert "nobody to ask" in done.stderr

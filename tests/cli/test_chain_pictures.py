"""`leafward chain` as table, picture, Graphviz text and time line; of a file and a home.

root "Root" -> intermediate 'Fac"tory <1>' -> device CA "gw.ca"
"""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leafward.cli.chain_view import next_forced, next_renewal, top_down
from leafward.cli.chart_svg import draw_svg
from leafward.cli.chart_table import draw_table
from leafward.cli.text_width import columns, cut, cut_points, pad, points
from leafward.cli.timeline import draw_timeline
from leafward.pki.chain import Chain
from leafward.pki.renewal import RenewalPolicy
from tests import hand_made
from tests.edge import leafward

SVG = "{http://www.w3.org/2000/svg}"
ODD = 'Fac"tory <1>'


@pytest.fixture(scope="module")
def chain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("maker")
    for arguments in (
        ["ca", "init", "--cn", "Root"],
        ["ca", "intermediate", ODD],
        ["ca", "device", "gw.ca", "--out", str(home / "gw")],
    ):
        done = leafward(*arguments, home=home)
        assert done.returncode == 0, done.stderr
    return home / "gw" / "certificate.pem"


@pytest.fixture(scope="module")
def hub_chain() -> Chain:
    return hand_made.hub_chain()


def out(*arguments: str) -> str:
    done = leafward("chain", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_articles_table(hub_chain: Chain) -> None:
    lines = draw_table(hub_chain)
    assert set(lines.pop(1)) == {"|", "-"}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells == [
        ["Root CA Certificate", "Root"],
        ["Intermediate CA Certificate", "Intermediate"],
        ["Device CA Certificate", "gateway.test.ca"],
        ["Workload CA Certificate", "iotedge workload ca"],
        ["IoT Edge Hub Server Certificate", "gateway.test"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_a_home_before_its_first_start(chain_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "manager" / "device-ca"
    folder.mkdir(parents=True)
    (folder / "certificate.pem").write_bytes(chain_file.read_bytes())
    assert "gw.ca" in out(str(tmp_path))
    (folder / "certificate.pem").unlink()
    done = leafward("chain", str(tmp_path))
    assert (done.returncode, "has no chain yet" in done.stderr) == (3, True)


def test_graphviz(chain_file: Path) -> None:
    """Names are other people's: none of them breaks out of its label."""
    text = out(str(chain_file), "--dot")
    assert text.startswith("digraph chain {\n")
    assert text.rstrip().endswith("}")
    assert r'label="intermediate CA\nFac\"tory <1>\nec-p256, until' in text
    assert re.findall(r"c\d -> c\d;", text) == ["c0 -> c1;", "c1 -> c2;"]
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=text.encode(), check=True, capture_output=True)


def test_svg(chain_file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "chain.svg"
    assert out(str(chain_file), "--svg", str(picture)) == f"written: {picture}\n"
    root = ET.fromstring(picture.read_text())
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"Root", ODD, "gw.ca", "maker's half", "signs"} <= set(texts)
    assert "operator's half" not in texts
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    for element in root.iter(f"{SVG}rect"):
        assert float(element.get("x", "0")) + float(element.attrib["width"]) <= width
        assert float(element.get("y", "0")) + float(element.attrib["height"]) <= height
    assert ET.fromstring(out(str(chain_file), "--svg", "-")).tag == f"{SVG}svg"


def test_svg_of_a_hub(hub_chain: Chain) -> None:
    """Half of the server certificate's lifetime is over, and then all of it."""
    start, end = hub_chain.leaf.not_valid_before_utc, hub_chain.leaf.not_valid_after_utc
    half = draw_svg(hub_chain, "gw\x00<&>", start + (end - start) / 2)
    assert "operator&#x27;s half" in half
    assert "gw &lt;&amp;&gt;" in half
    assert "#b3261e" not in half
    assert "#b3261e" in draw_svg(hub_chain, "gw", end + timedelta(days=1))


def timeline(chain: Chain, now: datetime, width: int = 120) -> list[str]:
    return draw_timeline(chain, now, columns=width, policy=RenewalPolicy.parse())


def test_timeline(hub_chain: Chain) -> None:
    start = hub_chain.leaf.not_valid_before_utc
    lines = timeline(hub_chain, start + timedelta(hours=2))
    assert [word for word in lines[0].split() if word.isalpha()] == ["used", "now", "day", "week", "month", "year"]
    root, *_, hub = lines[1:6]
    assert root.count("━") > hub.count("━") > hub.count("╌") > 0
    assert "╌" not in root
    assert lines[7].startswith("next    ")
    assert "the gateway renews the hub server certificate by itself" in lines[7]
    assert lines[8].startswith("forced  ")
    assert "the device CA 'gateway.test.ca' ends, and somebody has to replace it before" in lines[8]
    for width in (40, 80, 300):
        assert len({line.rindex("20") for line in timeline(hub_chain, start, width)[1:6]}) == 1
    assert max(map(len, timeline(hub_chain, start, 80)[:6])) <= 80
    assert timeline(hub_chain, policy_due(hub_chain))[-2].startswith("next    now: ")


def policy_due(chain: Chain) -> datetime:
    return RenewalPolicy.parse().due(chain.leaf)


def test_names_of_any_script_and_length() -> None:
    """Columns of a terminal and room in a picture: ideographs count twice, marks not at all, a W more than an l."""
    assert [columns(text) for text in ("ab", "证书", "e\u0301")] == [2, 4, 1]
    assert [pad("证", 4), cut("证书证书", 6), cut("abc", 3)] == ["证  ", "证书…", "abc"]
    assert columns(cut("证书证书", 5)) <= 5
    assert points("W" * 10, 16) > points("l" * 20, 16)
    assert cut_points("W" * 64, 16, 300).endswith("W…")
    assert points(cut_points("W" * 64, 16, 300), 16) <= 300
    assert cut_points("short", 16, 300) == "short"


def test_timeline_of_what_has_ended(hub_chain: Chain) -> None:
    """The device CA ends in three months: after that everything below it has ended too."""
    device_ca = hub_chain.certificates[2]
    lines = timeline(hub_chain, device_ca.not_valid_after_utc + timedelta(days=3))
    assert sum("✗ ended" in line for line in lines) == 3
    assert lines[-1].startswith("forced  ")
    assert "3 days ago: the device CA 'gateway.test.ca' ended" in lines[-1]
    assert not any(line.startswith("next") for line in lines)


def test_events(hub_chain: Chain, chain_file: Path) -> None:
    policy = RenewalPolicy.parse()
    now = hub_chain.leaf.not_valid_before_utc
    shown = top_down(hub_chain)
    renewal = next_renewal(shown, policy, now)
    assert renewal is not None
    assert (renewal.shown.role, renewal.at) == ("hub server", policy.due(hub_chain.leaf))
    assert next_forced(shown).shown.role == "device CA"
    maker = top_down(Chain.from_pem(chain_file.read_bytes()))
    assert next_renewal(maker, policy, datetime.now(UTC)) is None
    assert {one.half for one in maker} == {"maker"}


def test_a_lone_certificate_and_two_forms_at_once(chain_file: Path, tmp_path: Path) -> None:
    alone = tmp_path / "leaf.pem"
    text = chain_file.read_text()
    alone.write_text(text[: text.index("-----BEGIN", 1)])
    done = leafward("chain", str(alone), "--timeline")
    assert (done.returncode, "is not presented" in done.stderr) == (0, True)
    assert leafward("chain", str(chain_file), "--dot", "--json").returncode == 2


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_no_words_to_programmers(tmp_path: Path) -> None:
    """A stranger's CA whose name is longer than RFC 5280 allows: shown whole, and no library warns on the terminal."""
    text, key, now = "x" * 70, ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    pem = dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (tmp_path / "long.pem").write_bytes(pem)
    command = [sys.executable, "-m", "leafward", "chain", "long.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert text in done.stdout
    assert done.stderr == ""

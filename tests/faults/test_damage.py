"""A file of the home is damaged, and the manager starts: healed where the data is its own to make, named otherwise.

workload CA, hub certificate, trust, times     ->  made anew, the chain verifies, the next start issues nothing
settings, device CA, registry                  ->  refused with the file's name and what to do; never written
"""

import base64
import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import Damaged, LeafwardError, NotFound, StoreError
from leafward.manager.last_start import refuse_lost_device_ca
from leafward.manager.module_secrets import MASTER_KEY, MasterKey
from leafward.pki.chain import fingerprint
from leafward.pki.verify import verify
from leafward.store.database import open_database
from leafward.store.home import Home
from leafward.store.messages import metadata as messages
from tests.faults.damage import DAMAGES, FOLDER_DAMAGES, NOT_OURS
from tests.faults.homes import copied, listing, makers_half, start, started
from tests.faults.summary import Count
from tests.manager.conftest import NOW, set_device

# A person put it there: it is not removed, and what belongs there cannot be written.
IN_THE_WAY = ("a folder", "a file")
# Text that says nothing else, zeros behind a whole file, one bit in an unused page: no harm done.
HARMLESS = {("registry.db", "one bit"), ("registry.db", "too large"), ("manager/device-ca/key.pem", "too large")}
# Meant by who does it: `leafward.toml` apart, whose loss would be another gateway.
BEGINS_ANEW = {("registry.db", "removed"), ("registry.db", "a dangling link")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home after a start, with all that a manager may keep in it."""
    home = Home(tmp_path_factory.mktemp("damage") / "home")
    started(home)
    MasterKey(home.manager / MASTER_KEY).encrypt(b"", module="m", generation_id="1", vector=b"")
    return home


@pytest.fixture
def damaged(whole: Home, tmp_path: Path) -> Any:
    """A copy of the whole home with one file damaged."""

    @contextlib.contextmanager
    def once(path: Path, damage: Callable[[Path], None]) -> Iterator[tuple[Home, Path]]:
        home = copied(whole, tmp_path / "damaged")
        damage(home.root / path)
        yield home, home.root / path
        shutil.rmtree(home.root)

    return once


def paths(home: Home, wanted: Callable[[Path], bool]) -> list[Path]:
    return sorted(path.relative_to(home.root) for path in home.root.rglob("*") if wanted(path))


def content(path: Path) -> bytes | None:
    """None for what is no file."""
    return path.read_bytes() if path.is_file() else None


def refusal(attempt: Callable[[], object]) -> LeafwardError | None:
    """What it was refused with; anything else that it raises is a traceback."""
    try:
        attempt()
    except LeafwardError as error:
        return error
    return None


def judge(home: Home, whole: Home, path: Path) -> str:
    """What the next start makes of it: "healed" or "refused"; raises where it is neither, as it should be."""
    before = content(path)
    if error := refusal(lambda: start(home)):
        # A folder that is gone is missed by the first file looked for in it.
        assert str(path) in str(error), f"{path} is not named: {error}"
        assert error.hint, f"{path}: no hint: {error}"
        assert content(path) == before, f"{path} was refused, and changed"
        return "refused"
    standing = start(home)
    chain = standing.hub.pair.chain
    verdict = verify(chain, standing.anchors, now=NOW, name=standing.settings.hostname, purpose="server")
    assert verdict.valid, f"{path}: {verdict.reason}"
    assert standing.issued == (), f"{path}: issues with each start"
    this = {str(path.relative_to(home.root)): b""}
    assert makers_half(home) | this == makers_half(whole) | this
    return "healed"


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_file_in_every_way(whole: Home, damaged: Any, kind: str, count: Count) -> None:
    files = paths(whole, Path.is_file)
    assert len(files) > 12
    for path in files:
        with damaged(path, DAMAGES[kind]) as (home, there):
            found = judge(home, whole, there)
        if (str(path), kind) in HARMLESS | BEGINS_ANEW:
            continue
        if str(path) in NOT_OURS:
            assert found == "refused", (path, kind)
        elif kind not in IN_THE_WAY:
            assert found == "healed", (path, kind)
    count("files damaged: healed, or named with what to do", len(files))


@pytest.mark.parametrize("kind", FOLDER_DAMAGES)
def test_every_folder(whole: Home, damaged: Any, kind: str, count: Count) -> None:
    folders = paths(whole, Path.is_dir)
    for path in folders:
        with damaged(path, FOLDER_DAMAGES[kind]) as (home, there):
            judge(home, whole, there)
    count("folders damaged: healed, or named with what to do", len(folders))


def with_one_bit_less(pem: bytes, at: int) -> bytes:
    """The first block with one bit of its DER turned over."""
    found = re.search(rb"-----BEGIN [A-Z ]+-----\n(.*?)-----END", pem, re.DOTALL)
    assert found is not None
    der = bytearray(base64.b64decode(found[1]))
    der[at % len(der)] ^= 1 << at % 8
    return pem[: found.start(1)] + base64.b64encode(der) + b"\n" + pem[found.end(1) :]


# The library warns of a serial number that a turned bit has made negative.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize(
    "name", ["hub-server/000001/certificate.pem", "workload-ca/000001/certificate.pem", "device-ca/certificate.pem"]
)
def test_any_bit_of_a_certificate(whole: Home, damaged: Any, name: str, count: Count, thorough: bool) -> None:
    """Half a bit pattern that no leaf device accepts must not be served: made anew, or refused where it is not ours."""
    path = Path("manager") / name
    step = 1 if thorough else 11
    looked = range(0, 440, step)
    for at in looked:
        with damaged(path, lambda file, at=at: file.write_bytes(with_one_bit_less(file.read_bytes(), at))) as (
            home,
            there,
        ):
            found = judge(home, whole, there)
        assert found == ("refused" if name.startswith("device-ca") else "healed"), at
    count("bits turned over in certificates", len(looked))


def test_a_damaged_encryption_key_is_named_when_it_is_used(whole: Home, damaged: Any) -> None:
    """And never replaced: it would make what modules encrypted unreadable for ever."""
    path = (whole.manager / MASTER_KEY).relative_to(whole.root)
    for kind in ("empty", "half", "too large", "a folder"):
        with damaged(path, DAMAGES[kind]) as (_home, there):
            with pytest.raises(StoreError, match=str(there)) as caught:
                MasterKey(there).encrypt(b"", module="m", generation_id="1", vector=b"")
            assert caught.value.hint
            assert there.is_dir() or there.stat().st_size != 32


def test_lost_settings_are_not_another_gateway(tmp_path: Path) -> None:
    """Empty or gone, they would be those of a gateway with the machine's name."""
    home = Home(tmp_path / "home")
    started(home)
    home.settings.write_bytes(b"")
    with pytest.raises(Damaged, match="empty") as caught:
        start(home)
    assert "last-start" in (caught.value.hint or "")
    (home.manager / "last-start.json").unlink()
    start(home)
    start(home)  # whoever has none, and had none, is the gateway it was
    home.settings.unlink()
    start(home)


def test_settings_that_were_changed_are_obeyed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    started(home)
    set_device(home, hostname="other.local")
    assert start(home).issued == ("hub's server certificate",)


def test_a_lost_device_ca_is_not_made_anew(tmp_path: Path) -> None:
    """`leafward up` makes a development one where there is none; not where there was one."""
    home = Home(tmp_path / "home")
    certificate = home.manager / "device-ca" / "certificate.pem"
    refuse_lost_device_ca(home, certificate)
    started(home)
    before = fingerprint(start(home).device_ca.chain.leaf)
    refuse_lost_device_ca(home, certificate)
    certificate.unlink()
    with pytest.raises(NotFound, match=before):
        refuse_lost_device_ca(home, certificate)
    with pytest.raises(NotFound, match=str(certificate)):
        start(home)


@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if kind not in {"empty", "removed", "a dangling link"}])
def test_the_hubs_messages(tmp_path: Path, kind: str, count: Count) -> None:
    """A database that is damaged is named, and never written over."""
    path = tmp_path / "messages.db"
    open_database(path, messages, name="messages").dispose()
    DAMAGES[kind](path)
    before = content(path)
    error = refusal(lambda: open_database(path, messages, name="messages").dispose())
    if kind not in {"one bit", "too large"} or error is not None:
        assert isinstance(error, StoreError)
        assert str(path) in str(error)
        assert error.hint
        assert content(path) == before
    count("files damaged: healed, or named with what to do", 1)


def test_nothing_lies_about_after_healing(whole: Home, damaged: Any) -> None:
    """Slots whose pointer is lost go with the next pair."""
    with damaged(Path("manager/hub-server/active"), DAMAGES["garbage"]) as (home, _):
        start(home)
        assert listing(home) == listing(whole)

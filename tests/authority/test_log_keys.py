"""The log's own key: in a file, under a passphrase, in a token, in a TPM; before the first signature, never after."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from leafward.authority.ledger import Ledger
from leafward.authority.log_keys import default_key_type, known_key, open_log, place_key, place_of
from leafward.authority.log_verification import verify_home
from leafward.errors import AlreadyExists, KeyUnavailable, UsageError
from leafward.keys.key_store import KeyReference
from leafward.keys.passphrase import Passphrases, in_use, use
from leafward.pki.key_types import parse_key_type
from leafward.store.issuance_log.note import Note, VerifierKey
from tests.authority.ledger_entries import NOW, Clock, open_ledger, real_entry
from tests.keys.devices import SoftHsm, SwTpm, soft_hsm_here, swtpm_here
from tests.oracles import tlog_reader

ED25519, P256 = parse_key_type("ed25519"), parse_key_type("ec-p256")


@pytest.fixture
def maker(tmp_path: Path) -> Path:
    return tmp_path / "maker"


@pytest.fixture
def soft_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    yield from soft_hsm_here(tmp_path / "hsm", monkeypatch)


@pytest.fixture
def swtpm(monkeypatch: pytest.MonkeyPatch) -> Iterator[SwTpm]:
    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        yield from swtpm_here(Path(folder), monkeypatch)


def signed_log(maker: Path) -> VerifierKey:
    """Two checkpoints by two processes; all of it verifies here and by a reader that is not ours. The log's key."""
    for number in range(2):
        with open_ledger(maker, None) as ledger:
            ledger.record([real_entry(f"pump-{number}")])
    with open_ledger(maker, None) as ledger:
        report = verify_home(ledger.log, now=NOW)
        assert (report.is_good, report.signed) == (True, 2), report.differences
        state, proof = ledger.log.state(), str(ledger.log.proof(1))
    key = known_key(maker)
    assert key is not None
    assert key == state.key
    assert state.note is not None
    text = tlog_reader.Vkey(str(key)).open(state.note.encode())
    assert tlog_reader.checkpoint(text)[1] == 2
    assert tlog_reader.check_proof(proof, str(key))[:2] == (1, 2)
    return key


@pytest.mark.parametrize("key_type", [ED25519, P256])
def test_in_a_token(maker: Path, soft_hsm: SoftHsm, key_type: object) -> None:
    """SoftHSM has both kinds; no key is beside the log, and without the token nothing is signed."""
    at = soft_hsm.reference("issuance-log")
    assert place_key(maker, at, key_type) is None  # type: ignore[arg-type]
    key = signed_log(maker)
    assert key.algorithm == {"ed25519": "Ed25519", "ec-p256": "ECDSA"}[str(key_type)]
    assert key.name.startswith("pump-0/issuance/")
    assert not (maker / "log" / "key.pem").exists()
    assert (maker / "log" / "key.ref").stat().st_mode & 0o777 == 0o600
    assert place_of(maker) == at
    soft_hsm.pull_out()
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry("pump-9")])  # issued all the same
        with pytest.raises(KeyUnavailable):
            ledger.log.checkpoint()
        soft_hsm.plug_in()
        assert "\n3\n" in ledger.log.checkpoint()


def test_in_a_tpm(maker: Path, swtpm: SwTpm, tmp_path: Path) -> None:
    """A TPM has no Ed25519: the log's signatures are ECDSA (signed-note's type 0x02)."""
    at = KeyReference("tpm", str(tmp_path / "log.tpm"))
    assert default_key_type(at) == P256
    with pytest.raises(KeyUnavailable) as refused:
        place_key(maker, at, ED25519)
    assert "--key ec-p256" in (refused.value.hint or "")
    assert not (maker / "log" / "key.ref").exists()
    place_key(maker, at, default_key_type(at))
    assert signed_log(maker).algorithm == "ECDSA"


def test_a_log_that_is_named_with_its_key(maker: Path, tmp_path: Path) -> None:
    """Its line can be given to auditors before anything is issued; the first checkpoint is signed under it."""
    at = KeyReference("file", str(tmp_path / "elsewhere" / "log.pem"))
    named = place_key(maker, at, ED25519, origin="log.example.com/maker")
    assert named is not None
    assert signed_log(maker) == named == known_key(maker)


def test_under_a_passphrase(maker: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Encrypted where its maker says so: without the passphrase certificates are issued, and the log is not signed."""
    secret = tmp_path / "passphrase"
    secret.write_text("under the ninth flagstone\n")
    secret.chmod(0o600)
    use(Passphrases(file=secret, encrypt_new=True))
    try:
        place_key(maker, KeyReference("file", str(tmp_path / "log.pem")), ED25519)
        assert "ENCRYPTED" in (tmp_path / "log.pem").read_text()
        signed_log(maker)
        use(Passphrases())
        with open_ledger(maker, None) as ledger:
            ledger.record([real_entry("pump-9")])
        assert "not signed up to its end" in caplog.text
        use(Passphrases(file=secret))
        with open_ledger(maker, None) as ledger:
            assert "\n3\n" in ledger.log.checkpoint()
    finally:
        use(Passphrases())
    assert in_use().file is None


def test_a_key_is_chosen_once(maker: Path, tmp_path: Path) -> None:
    """Not beside another, not for a log that has one, and not of a kind that signs no notes."""
    first, second = (KeyReference("file", str(tmp_path / name)) for name in ("first.pem", "second.pem"))
    with pytest.raises(UsageError, match="rsa-2048"):
        place_key(maker, first, parse_key_type("rsa-2048"))
    place_key(maker, first, ED25519)
    with pytest.raises(AlreadyExists, match="has its key"):
        place_key(maker, second, ED25519)
    assert not (tmp_path / "second.pem").exists()
    signed_log(maker)
    (tmp_path / "first.pem").unlink()
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry("pump-9")])
        with pytest.raises(KeyUnavailable, match="no key"):
            open_log(ledger.engine, maker).checkpoint()
    assert not (tmp_path / "first.pem").exists()


def test_a_log_that_begins_anew_elsewhere(maker: Path, soft_hsm: SoftHsm) -> None:
    """key.pem -> restart -> a key in the token: another log, the old key kept aside as evidence."""
    old = signed_log(maker)
    with open_ledger(maker, None) as ledger:
        aside = ledger.log.restart()
        place_key(maker, soft_hsm.reference("new-log"), ED25519)
        note = Note.parse(ledger.log.checkpoint().encode())
    assert (aside / "key.pem").exists()
    new = known_key(maker)
    assert new is not None
    assert new != old
    assert note.opened(new)


def test_what_others_recorded_is_signed_by_a_process_that_is_idle(maker: Path, clock: Clock) -> None:
    """`Ledger.sign`: one process appends and does not live to sign, another one that did nothing signs."""
    idle, other = open_ledger(maker, None, clock), open_ledger(maker, None, clock)
    idle.sign()  # nothing to sign yet
    other.record([real_entry("pump-1")])
    other.engine.dispose()  # as a kill leaves it
    idle.sign()
    signed = idle.log.state().signed
    assert signed is not None
    assert signed.size == 1
    file = maker / "log" / "checkpoint"
    before = file.stat().st_mtime_ns
    idle.sign()
    assert file.stat().st_mtime_ns == before
    idle.close()
    other.close()


def test_a_key_that_is_away_is_not_asked_all_the_time(
    maker: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def away(*_: object) -> object:
        asked.append(True)
        raise KeyUnavailable("the token is out")

    monkeypatch.setattr("leafward.authority.log_keys._signer", away)
    with open_ledger(maker, None, clock) as ledger:
        ledger.record([real_entry("pump-1")])
        ledger.sign()
        ledger.sign()
        assert len(asked) == 1
        clock.now += timedelta(minutes=1)
        ledger.sign()
        assert len(asked) == 2
        assert caplog.text.count("not signed up to its end") == 1
        monkeypatch.undo()
        clock.now += timedelta(minutes=1)
        ledger.sign()
        assert ledger.log.state().signed is not None


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_ledger_is_closed_without_a_second_signature(maker: Path, clock: Clock) -> None:
    ledger = Ledger.open(maker, clock=clock)
    ledger.record([real_entry("pump-1")])
    ledger.close()
    ledger.close()

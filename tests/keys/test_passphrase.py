"""keys/passphrase.py: in which order the sources are asked, and that none of them tells."""

import logging
from pathlib import Path

import pytest

from leafward.errors import KeyUnavailable, NotFound, UsageError
from leafward.keys.passphrase import Passphrases, Secret


def secret_file(path: Path, text: bytes = b"from the file\n", mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


def answers(*texts: str):
    """A person who gives these answers in turn; the questions are kept in `.asked`."""
    left = list(texts)

    def ask(prompt: str) -> str:
        ask.asked.append(prompt)
        return left.pop(0)

    ask.asked = []
    return ask


def test_to_open_prefers_file_then_variable_then_named_file_then_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four there -> the file; one taken away after another -> the next."""
    named = secret_file(tmp_path / "named", b"from the named file")
    monkeypatch.setenv("LEAFWARD_PASSPHRASE", "from the variable")
    monkeypatch.setenv("LEAFWARD_PASSPHRASE_FILE", str(named))
    ask = answers("from a person")
    assert Passphrases(file=secret_file(tmp_path / "p"), ask=ask).to_open("k").text == "from the file"
    assert Passphrases(ask=ask).to_open("k").text == "from the variable"
    monkeypatch.delenv("LEAFWARD_PASSPHRASE")
    assert Passphrases(ask=ask).to_open("k").text == "from the named file"
    monkeypatch.delenv("LEAFWARD_PASSPHRASE_FILE")
    assert Passphrases(ask=ask).to_open("k").text == "from a person"
    assert ask.asked == ["passphrase of k: "]


def test_nobody_to_ask() -> None:
    with pytest.raises(KeyUnavailable, match="nobody to ask") as caught:
        Passphrases().to_open("/k.pem")
    assert "LEAFWARD_PASSPHRASE_FILE" in (caught.value.hint or "")
    with pytest.raises(KeyUnavailable, match="nobody to ask"):
        Passphrases(encrypt_new=True).for_new("/k.pem")


def test_person_is_asked_once_until_the_answer_is_wrong() -> None:
    ask = answers("first", "second")
    passphrases = Passphrases(ask=ask)
    assert [passphrases.to_open("k").text for _ in range(3)] == ["first"] * 3
    passphrases.forget("k")
    assert passphrases.to_open("k").text == "second"
    assert passphrases.to_open("k").asked


def test_new_passphrase_is_typed_twice() -> None:
    ask = answers("new", "new")
    assert Passphrases(ask=ask).for_new("k").text == "new"
    assert len(ask.asked) == 2


@pytest.mark.parametrize("typed", [("new", "other"), ("", "")], ids=["two different", "empty"])
def test_mistyped_new_passphrase(typed: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        Passphrases(ask=answers(*typed)).for_new("k")
    assert "other" not in str(caught.value)


def test_new_key_has_a_file_of_its_own(tmp_path: Path) -> None:
    old, new = secret_file(tmp_path / "old", b"old"), secret_file(tmp_path / "new", b"new")
    passphrases = Passphrases(file=old, new_file=new)
    assert (passphrases.to_open("k").text, passphrases.for_new("k").text) == ("old", "new")
    assert Passphrases(file=old).for_new("k").text == "old"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644], ids=oct)
def test_file_that_others_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyUnavailable, match=f"got mode {mode:04o}, expected 0600"):
        Passphrases(file=secret_file(tmp_path / "p", mode=mode)).to_open("k")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="gone"):
        Passphrases(file=tmp_path / "gone").to_open("k")


@pytest.mark.parametrize("data", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"nul\0"], ids=repr)
def test_file_without_one_line_of_text(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeyUnavailable) as caught:
        Passphrases(file=secret_file(tmp_path / "p", data)).to_open("k")
    assert caught.value.__cause__ is None
    assert "lines" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"a b \n", "a b "), (b"a\r\n", "a"), (b"a", "a"), ("schlüssel\n".encode(), "schlüssel")],
    ids=["spaces stay", "CRLF", "no line end", "UTF-8"],
)
def test_one_line_end_is_not_part_of_it(tmp_path: Path, data: bytes, text: str) -> None:
    assert Passphrases(file=secret_file(tmp_path / "p", data)).to_open("k").text == text


def test_pin_prefers_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAFWARD_PIN", "from the variable")
    source = secret_file(tmp_path / "pin")
    ask = answers("from a person")
    assert Passphrases(ask=ask).pin("T", source).text == "from the file"
    assert Passphrases(ask=ask).pin("T", None).text == "from the variable"
    monkeypatch.delenv("LEAFWARD_PIN")
    assert Passphrases(ask=ask).pin("T", None) == Secret("from a person", "the terminal", asked=True)
    with pytest.raises(KeyUnavailable, match="wants a PIN"):
        Passphrases().pin("T", None)


def test_passphrase_is_no_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase given for files -> not tried as a token's PIN, which would use up a try."""
    monkeypatch.setenv("LEAFWARD_PASSPHRASE", "for files")
    with pytest.raises(KeyUnavailable):
        Passphrases().pin("T", None)


def test_nothing_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    passphrases = Passphrases(ask=answers("s3cret"))
    with caplog.at_level(logging.DEBUG):
        secret = passphrases.to_open("k")
    for text in (repr(secret), str(secret), repr(passphrases), str(passphrases), caplog.text):
        assert "s3cret" not in text

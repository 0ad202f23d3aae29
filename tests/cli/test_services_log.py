"""Log lines: text, JSON, for the journal; one line a record, and no secret in any of them."""

import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leafward.cli.log_format import JournalLines, JsonLines, TextLines, formatter, is_journal, redacted
from leafward.cli.log_options import chosen_format
from leafward.cli.service import failures_told, set_up_logging
from leafward.errors import StoreError
from leafward.store.home import Home

PARTS = ("manager", "hub", "provisioning", "authority", "up")
KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
BODY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{BODY}\n-----END EC PRIVATE KEY-----\n"
SECRETS = {
    "connection string": f"HostName=hub;DeviceId=d;SharedAccessKeyName=owner;SharedAccessKey={KEY};GatewayHostName=g",
    "token": f"SharedAccessSignature sr=hub%2fdevices%2fd&sig={KEY.replace('=', '%3D')}&se=1700000000",
    "escaped token": f"sr%3Dhub%26sig%3D{KEY.replace('=', '%253D')}%26se%3D1",
    "PEM": PEM,
    "encrypted PEM": PEM.replace("EC PRIVATE", "ENCRYPTED PRIVATE"),
    "cut PEM": PEM[:70],
    "PEM in a repr": repr(PEM.encode()),
    "PEM in JSON": json.dumps({"privateKey": {"bytes": PEM}}),
    "JSON key": json.dumps({"symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}),
    "database": f"postgresql+psycopg://maker:{KEY}@db.example/maker",
    "PIN": f"pkcs11:token=t;object=o?pin-value={KEY}",
    "password": f"login with password={KEY} failed",
    "basic": f"Authorization: Basic {KEY}",
}


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """What was written to standard error, by lines; the test's own logging is put back at the end."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level

    def lines() -> list[str]:
        return capfd.readouterr().err.splitlines()

    yield lines
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook = hooks
    root.handlers[:], root.level = handlers, level


def record(message: str, *arguments: object, level: int = logging.WARNING, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("leafward.x", level, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    made.created = 1_780_000_000.25
    return made


@pytest.mark.parametrize("what", SECRETS)
def test_no_secret_is_left(what: str) -> None:
    plain = redacted(SECRETS[what])
    assert KEY[:12] not in plain
    assert BODY[:12] not in plain
    assert "[redacted]" in plain


def test_what_is_no_secret_is_left() -> None:
    for text in (
        "HostName=hub;DeviceId=d;SharedAccessKeyName=owner",
        "the key usage of basicConstraints in config=1 was signed",
        "https://user@host.example/path and http://10.0.0.1:8080/x@y",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "design=new",
    ):
        assert redacted(text) == text
    assert redacted(SECRETS["token"]).endswith("&se=1700000000")
    assert redacted(SECRETS["connection string"]).endswith(";GatewayHostName=g")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_through_every_parts_logger(part: str, form: str, logged: Callable[[], list[str]]) -> None:
    """In the message, its arguments, the fields and the exception; by our loggers and by a library's."""
    set_up_logging(part, logging.INFO, form)  # type: ignore[arg-type]
    for name in (f"leafward.{part}.daemon", "aiohttp.server", "asyncio"):
        for secret in SECRETS.values():
            logging.getLogger(name).warning("got %s", secret, extra={"given": secret, "symmetric_key": KEY})
            try:
                raise ValueError(secret)
            except ValueError:
                logging.getLogger(name).exception(secret)
    lines = logged()
    assert len(lines) >= 3 * 2 * len(SECRETS)
    assert not [line for line in lines if KEY[:12] in line or BODY[:12] in line]
    assert f" {part} " in lines[0] if form == "text" else json.loads(lines[0])["part"] == part


def test_a_json_line(logged: Callable[[], list[str]]) -> None:
    line = JsonLines("hub").format(
        record("%d of\n%s", 2, "grüße", device="pump-7", tries=3, at=Path("/x"), of=("a", None))
    )
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-05-28T20:26:40.250Z",
        "part": "hub",
        "level": "warning",
        "logger": "leafward.x",
        "message": "2 of\ngrüße",
        "fields": {"device": "pump-7", "tries": 3, "at": "/x", "of": ["a", None]},
    }


def test_an_exception_is_a_field(logged: Callable[[], list[str]]) -> None:
    set_up_logging("hub", form="json")
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        logging.getLogger("leafward.hub").exception("failed")
    (line,) = logged()
    assert json.loads(line)["exception"].endswith("ZeroDivisionError: by nought")


def test_a_text_line_is_one_line(logged: Callable[[], list[str]]) -> None:
    """What a client chose cannot look like a line of ours."""
    line = TextLines("hub").format(record("device %s", "a\n2026-01-01T00:00:00Z hub ERROR forged\x1b[31m\u2028"))
    assert line == r"2026-05-28T20:26:40Z hub WARNING device a\n2026-01-01T00:00:00Z hub ERROR forged\x1b[31m\u2028"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_priorities_for_the_journal(level: int, priority: int) -> None:
    made = record("no %s", "wonder", level=level)
    made.exc_text = "Traceback\n  first\n  second"
    assert JournalLines("hub").format(made).splitlines() == [
        f"<{priority}>hub: no wonder", f"<{priority}>Traceback", f"<{priority}>  first", f"<{priority}>  second",
    ]  # fmt: skip


def test_the_journal_is_known_by_its_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable alone is inherited by processes that write elsewhere."""
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert is_journal(journal, os.environ)
        assert not is_journal(other, os.environ)
        assert isinstance(formatter("hub", "text", journal), JournalLines)
        assert isinstance(formatter("hub", "json", journal), JsonLines)
        assert type(formatter("hub", "text", other)) is TextLines
    assert not is_journal(journal, {"JOURNAL_STREAM": "nonsense"})


def test_warnings_and_uncaught_exceptions_are_lines_too(logged: Callable[[], list[str]]) -> None:
    set_up_logging("hub", form="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0)  # type: ignore[return-value]
    thread.start()
    thread.join()
    warning, uncaught = map(json.loads, logged())
    assert "DeprecationWarning: old" in warning["message"]
    assert (uncaught["level"], "ZeroDivisionError" in uncaught["exception"]) == ("critical", True)


def test_a_failure_is_a_line_where_programs_read(logged: Callable[[], list[str]]) -> None:
    import click

    with pytest.raises(click.exceptions.Exit) as refused, failures_told("hub", logging.WARNING, "json"):
        raise StoreError("cannot listen", why="in use", hint="choose another port")
    assert refused.value.exit_code == 3
    (line,) = map(json.loads, logged())
    assert line["message"] == "cannot listen: in use; next: choose another port"
    with pytest.raises(StoreError), failures_told("hub", logging.WARNING, "text"):
        raise StoreError("cannot listen")


def test_the_format_comes_from_the_option_then_the_settings(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert chosen_format(home, None) == "text"
    home.settings.write_text('[manager]\nlog = "json"\n')
    assert chosen_format(home, None) == "json"
    assert chosen_format(home, "text") == "text"
    for broken in ("manager = 3\n", "no toml", '[manager]\nlog = "yaml"\n'):
        home.settings.write_text(broken)
        assert chosen_format(home, None) == "text"


@pytest.mark.parametrize("command", [["manager", "run"], ["hub", "run"], ["provisioning", "run"], ["up"]])
def test_each_command_says_all_in_json(command: list[str], tmp_path: Path) -> None:
    """A start that is refused: nothing but JSON on standard error, and the exit code as ever."""
    (tmp_path / "leafward.toml").write_text("[device]\nhostname = 3\n[provisioning]\nid_scope = 3\n")
    arguments = [sys.executable, "-m", "leafward", *command, "--home", str(tmp_path), "--log-format", "json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines
    assert lines[-1]["level"] == "error"
    assert lines[-1]["part"] == command[0]

"""Accounts: made, kept as a hash, judged alike whatever is wrong, and spent once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.authority.est_accounts import FREE_ATTEMPTS, LONGEST_WAIT, MAX_SOURCES, AccountDoor, Slowdown, new_account
from leafward.errors import AccessDenied, AlreadyExists, InputError, NameFormatError, NotFound
from leafward.store.accounts import Accounts, spend
from leafward.store.maker_database import open_maker_database
from leafward.wire.basic import BasicCredentials

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LABELS = ["leaf_device"]


@pytest.fixture
def accounts(tmp_path: Path, maker_database: str | None) -> Iterator[Accounts]:
    """In a file and on PostgreSQL alike."""
    engine = open_maker_database(maker_database or tmp_path / "maker.db")
    yield Accounts(engine)
    engine.dispose()


def test_a_password_is_made_and_not_kept(accounts: Accounts, tmp_path: Path) -> None:
    account, password = new_account("pump-7", now=NOW, labels=LABELS)
    accounts.add(account)
    assert len(password) >= 32
    assert accounts.get("pump-7") == account
    assert not any(password.encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert account.digest.hex() not in repr(account)


def test_two_accounts_with_one_password_look_different() -> None:
    one, _ = new_account("a", now=NOW, labels=LABELS, password="correct horse")
    two, _ = new_account("b", now=NOW, labels=LABELS, password="correct horse")
    assert one.digest != two.digest


@pytest.mark.parametrize("name", ["", "a b", "a:b", "../x", "x" * 65, "*"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(NameFormatError):
        new_account(name, now=NOW, labels=LABELS)


@pytest.mark.parametrize("devices", ["", "*", "**", "a*b*c", "pump 7", "pump-*\n"])
def test_patterns_that_cannot_be(devices: str) -> None:
    with pytest.raises(NameFormatError):
        new_account("line", now=NOW, labels=LABELS, devices=devices)


@pytest.mark.parametrize(
    ("devices", "fits", "others"),
    [
        ("pump-7", ["pump-7"], ["pump-70", "Pump-7", "pump-", ""]),
        ("pump-*", ["pump-7", "pump-x.y"], ["pump-", "xpump-7", "PUMP-7"]),
        ("*.line-3", ["a.line-3"], [".line-3", "a.line-30"]),
        ("a*a", ["aba"], ["aa", "a"]),
    ],
)
def test_what_a_pattern_covers(devices: str, fits: list[str], others: list[str]) -> None:
    account, _ = new_account("line", now=NOW, labels=LABELS, devices=devices)
    assert all(account.covers(name) for name in fits)
    assert not any(account.covers(name) for name in others)


def test_a_short_password_is_refused() -> None:
    with pytest.raises(InputError, match="short") as refused:
        new_account("a", now=NOW, labels=LABELS, password="hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_name_is_taken_once(accounts: Accounts) -> None:
    account, _ = new_account("a", now=NOW, labels=LABELS)
    accounts.add(account)
    with pytest.raises(AlreadyExists):
        accounts.add(account)


def test_an_account_goes(accounts: Accounts) -> None:
    accounts.add(new_account("a", now=NOW, labels=LABELS)[0])
    accounts.remove("a")
    assert accounts.all() == []
    with pytest.raises(NotFound):
        accounts.remove("a")


def test_an_account_is_spent_once(accounts: Accounts) -> None:
    accounts.add(new_account("a", now=NOW, labels=LABELS, once=True)[0])
    with accounts._engine.begin() as connection:
        spend(connection, "a", "f" * 64)
    found = accounts.get("a")
    assert found is not None
    assert found.spent_on == "f" * 64
    with pytest.raises(AccessDenied), accounts._engine.begin() as connection:
        spend(connection, "a", "e" * 64)


async def test_wrong_is_wrong_in_one_way(accounts: Accounts) -> None:
    """An unknown name, a wrong password and an expired account are told alike."""
    account, password = new_account("a", now=NOW, labels=LABELS)
    accounts.add(account)
    door = AccountDoor(accounts)
    texts = set()
    for name, given, now in (
        ("b", password, NOW),
        ("a", "wrong", NOW),
        ("a", password, NOW + timedelta(days=99)),
    ):
        with pytest.raises(AccessDenied) as refused:
            await door.admit(BasicCredentials(name, given), f"192.0.2.{len(texts)}", now)
        texts.add(str(refused.value))
    assert len(texts) == 1
    assert await door.admit(BasicCredentials("a", password), "192.0.2.9", NOW) == account


async def test_a_burst_of_guesses_is_judged_a_few_times_only(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    judged = 0
    door = AccountDoor(accounts)
    judge = door._judge

    def counted(credentials: BasicCredentials) -> object:
        nonlocal judged
        judged += 1
        return judge(credentials)

    monkeypatch.setattr(door, "_judge", counted)
    guesses = (door.admit(BasicCredentials("a", f"guess {n}"), "192.0.2.1", NOW) for n in range(50))
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert judged <= FREE_ATTEMPTS + 1
    assert sum(isinstance(answer, timedelta) for answer in answers) == 50 - judged


def test_the_wait_grows_and_is_forgotten() -> None:
    slow = Slowdown()
    waits = []
    now = NOW
    for _ in range(12):
        slow.failed("192.0.2.1", now)
        waits.append(slow.wait("192.0.2.1", now))
        now += waits[-1]
    assert waits[: FREE_ATTEMPTS - 1] == [timedelta(0)] * (FREE_ATTEMPTS - 1)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT
    assert slow.wait("192.0.2.1", now) == timedelta(0)
    assert slow.wait("192.0.2.2", NOW) == timedelta(0)
    slow.failed("192.0.2.1", now + timedelta(hours=1))
    assert slow.wait("192.0.2.1", now + timedelta(hours=1)) == timedelta(0)


def test_one_customer_has_one_network() -> None:
    slow = Slowdown()
    for n in range(FREE_ATTEMPTS):
        slow.failed(f"2001:db8::{n}", NOW)
    assert slow.wait("2001:db8::ffff", NOW) > timedelta(0)
    assert slow.wait("2001:db8:1::1", NOW) == timedelta(0)


def test_memory_is_bounded() -> None:
    slow = Slowdown()
    for n in range(MAX_SOURCES + 100):
        slow.failed(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", NOW)
    assert len(slow._sources) == MAX_SOURCES

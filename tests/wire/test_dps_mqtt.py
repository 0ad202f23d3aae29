"""Registrations over MQTT, one packet after the other: who may connect, ask and subscribe, and how it is answered."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import InputError, ProtocolError
from leafward.wire.dps_door import read_chain, write_chain
from leafward.wire.dps_mqtt import Ask, DpsLogin, DpsSession, Goodbye, answer_topic, is_registration
from leafward.wire.dps_retry import LONGEST, Places
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.packets import Connect, Disconnect, Publish, Pubrel, Suback, Subscribe, Unsuback, Unsubscribe
from tests.hub.hub_certificates import make

USER = "0ne1/registrations/Leaf-1/api-version=2019-03-31&ClientVersion=x%2Fy"
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid=7"


def session(**changes: object) -> DpsSession:
    return DpsSession(Connect(**{"client_id": "leaf-1", "username": USER, **changes}))  # type: ignore[arg-type]


def test_user_names() -> None:
    """As the SDKs write them; the client id in any case."""
    assert session().login == DpsLogin("0ne1", "Leaf-1", "2019-03-31")
    assert is_registration(USER)


@pytest.mark.parametrize(
    "username",
    [
        None,
        "",
        "hub/leaf-1/?api-version=2019-10-01",
        "hub/registrations/m/?api-version=2019-10-01",
        "a/registrations/b",
    ],
)
def test_no_registration_s(username: str | None) -> None:
    """An IoT hub's logins, a device called `registrations` among them, go to the hub."""
    assert not is_registration(username)


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "leaf-2"}, {"username": USER.replace("Leaf-1", "leaf+1"), "client_id": "leaf+1"}, {"level": 3},
     {"username": "x" * 2000}, {"will": packets.Will("a", b"")},
     {"username": "0ne1/registrations/leaf-1/ClientVersion=x"}],
)  # fmt: skip
def test_refused_at_connect(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        session(**changes)


def test_a_whole_conversation() -> None:
    """Subscribe, register, ask, leave."""
    one = session()
    assert one.receive(Subscribe(1, (("$dps/registrations/res/#", 1), ("#", 0)))) == [Suback(1, (1, 0x80))]
    puback, ask = one.receive(Publish(REGISTER, b"{}", 1, packet_id=2))
    assert puback == packets.Puback(2)
    assert ask == Ask("7", None, b"{}")
    assert one.answered(ask, 202, b"{}", 3) == Publish("$dps/registrations/res/202/?$rid=7&retry-after=3", b"{}")
    topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=8&operationId=5.a%2Fb"
    assert one.receive(Publish(topic, b" ")) == [Ask("8", "5.a/b", b" ")]
    assert one.receive(Unsubscribe(3, ("x",))) == [Unsuback(3)]
    assert one.receive(Disconnect()) == [Goodbye()]


def test_the_python_sdk_reads_the_topic() -> None:
    """It splits at '$': the second part has the status, the third the fields."""
    parts = answer_topic(429, "r", 5).split("$")
    assert (parts[1].split("/")[3], dict(field.split("=") for field in parts[2].split("&"))) == (
        "429",
        {"rid": "r", "retry-after": "5"},
    )


@pytest.mark.parametrize(
    "packet",
    [Publish("$dps/registrations/PUT/iotdps-register/", b""), Publish(REGISTER.replace("rid", "x"), b""),
     Publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1", b""), Publish("devices/leaf-1/x", b""),
     Publish(REGISTER + "x" * 200, b""), Publish(REGISTER, b"", 2, packet_id=1), Publish(REGISTER, b"", retain=True),
     Pubrel(1), Connect("leaf-1", username=USER)],
)  # fmt: skip
def test_what_does_not_belong_here(packet: packets.Packet) -> None:
    with pytest.raises(ProtocolError):
        session().receive(packet)


def test_too_many_at_once() -> None:
    """Four questions that wait; an answer makes room."""
    one = session()
    asked = [one.receive(Publish(REGISTER, b""))[0] for _ in range(4)]
    with pytest.raises(ProtocolError):
        one.receive(Publish(REGISTER, b""))
    assert isinstance(asked[0], Ask)
    one.answered(asked[0], 200, b"", None)
    assert one.receive(Publish(REGISTER, b""))


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_user_name(text: str) -> None:
    """A login or an error of ours, whatever it is."""
    with contextlib.suppress(InputError):
        DpsLogin.parse(text, "leaf")


def test_chains_to_the_service() -> None:
    """There and back; too long, cut and empty ones are refused."""
    held = make("leaf", make("CA", ca=True), client=True)
    text = write_chain(held.certificates)
    assert read_chain(text) == held.certificates
    for wrong in (text[:-8], "", "x" * 100_000, "AAAA"):
        with pytest.raises(InputError):
            read_chain(wrong)
    with pytest.raises(InputError):
        write_chain(held.certificates * 9)


def test_a_herd_comes_back_as_a_stream() -> None:
    """Ten thousand at once and one place: no second gets more than its share, nobody waits for ever."""
    places = Places(1)
    assert places.enter(0.0, 0.5) == 0
    turns = [places.enter(0.0, (number % 10) / 10) for number in range(9_999)]
    assert min(turns) >= 1
    assert max(turns) <= LONGEST + 1
    assert all(turns.count(second) <= 1.2 * places.rate for second in range(1, max(turns) - 1))


def test_the_rate_is_measured() -> None:
    """Full seconds in which 50 end bring it down from the first guess; idle ones say nothing."""
    places = Places(1)
    for step in range(1000):
        now = step / 50
        if places.enter(now, 0.0) == 0:
            places.enter(now, 0.0)
        places.leave(now)
    assert 45 < places.rate < 60
    places.enter(100.0, 0.0)
    before = places.rate
    places.leave(200.0)
    assert places.rate == before

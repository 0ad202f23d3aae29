"""Who may use plain topics: deny by default, rules by name, the client's own ids, errors when the rules are set."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from leafward.errors import SettingsError
from leafward.hub.plain_policy import PlainPolicy, covers, is_plain
from leafward.hub.policy_settings import PolicyRule
from leafward.hub.settings import read_settings
from leafward.wire.mqtt.topics import filter_takes
from tests.hub.test_topic_tree import FILTERS, LEVELS


def rule(who: str = "*", **fields: Any) -> PolicyRule:
    """A rule that is valid."""
    return PolicyRule(who=who, **fields)


def test_without_rules_nothing() -> None:
    """No policy: IoT Hub's topics only."""
    permit = PlainPolicy().permit("leaf1", None)
    assert permit.may_publish("plant/1") == (False, False)
    assert not permit.may_subscribe("plant/1")
    assert not permit.may_subscribe("#")


@pytest.mark.parametrize(
    ("who", "named"),
    [
        ("*", ["pump-1", "edge/filter"]),
        ("pump-*", ["pump-1", "pump-"]),
        ("pump-1", ["pump-1"]),
        ("*-1", ["pump-1", "Pump-1", "p.mp-1"]),
        ("edge/filter", ["edge/filter"]),
        ("edge/*", ["edge/filter", "edge/$edgeHub"]),
        ("*/filter", ["edge/filter"]),
        ("*/*", ["edge/filter", "edge/$edgeHub"]),
        ("p.mp-1", ["p.mp-1"]),
    ],
)
def test_whom_a_rule_names(who: str, named: list[str]) -> None:
    """Whole ids, case included; a device's rule is not its modules'."""
    everybody = ["pump-1", "pump-", "Pump-1", "xpump-1x", "p.mp-1", "edge", "edge/filter", "edge/$edgeHub"]
    policy = PlainPolicy([rule(who, publish=["t"])])
    found = []
    for name in everybody:
        device, slash, module = name.partition("/")
        if policy.permit(device, module if slash else None).may_publish("t")[0]:
            found.append(name)
    assert found == (everybody if who == "*" else named)


def test_one_s_own_ids() -> None:
    """{device} and {module} are the client's; a filter with {module} says nothing to a device."""
    policy = PlainPolicy([rule(publish=["plant/{device}/#", "m/{module}"], subscribe=["x-{device}/+"])])
    leaf, module = policy.permit("leaf1", None), policy.permit("edge", "filter")
    assert leaf.may_publish("plant/leaf1/t")[0]
    assert leaf.may_publish("plant/leaf1")[0]
    assert not leaf.may_publish("plant/leaf2/t")[0]
    assert not leaf.may_publish("m/")[0]
    assert not leaf.may_publish("m/{module}")[0]
    assert module.may_publish("m/filter")[0]
    assert leaf.may_subscribe("x-leaf1/a")
    assert not leaf.may_subscribe("x-leaf2/a")
    assert not leaf.may_subscribe("x-leaf1/#")


@pytest.mark.parametrize("device", ["$SYS", "$iothub", "devices"])
def test_an_id_that_would_be_a_reserved_level(device: str) -> None:
    """Its own filter is none."""
    permit = PlainPolicy([rule(publish=["{device}/#"], subscribe=["{device}/#"])]).permit(device, None)
    assert not permit.may_publish(f"{device}/x")[0]
    assert not permit.may_subscribe(f"{device}/x")


@pytest.mark.parametrize(
    "topic", ["$SYS/broker", "$iothub/twin/GET/?$rid=1", "$dps/x", "devices", "devices/leaf2/messages/events/"]
)
def test_iot_hub_s_own_topics_are_nobody_s(topic: str) -> None:
    """Whatever the rules say."""
    permit = PlainPolicy([rule(publish=["#", "+/#"], subscribe=["#", "+/#"])]).permit("leaf1", None)
    assert permit.may_publish(topic) == (False, False)
    assert not permit.may_subscribe(topic)
    assert not permit.may_subscribe(topic + "/#")


def test_retained_by_some_rules() -> None:
    """One rule that allows it suffices."""
    policy = PlainPolicy([rule(publish=["a/#"], retain=False), rule(publish=["a/b"])])
    permit = policy.permit("leaf1", None)
    assert permit.may_publish("a/x") == (True, False)
    assert permit.may_publish("a/b") == (True, True)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("$share/g/plant/1", True),
        ("$share/g/plant/#", True),
        ("$share/g/#", False),
        ("$share/g/devices/leaf2/messages/devicebound/#", False),
        ("$share/plant/1", False),
        ("$share//plant/1", False),
        ("$share/+/plant/1", False),
        ("$share/g/", False),
    ],
)
def test_shared_filters(asked: str, allowed: bool) -> None:
    """What counts is the filter behind the group's name."""
    permit = PlainPolicy([rule(subscribe=["plant/#"])]).permit("leaf1", None)
    assert permit.may_subscribe(asked) is allowed


EVERY_TOPIC = ["/".join(levels) for size in (1, 2, 3) for levels in product(LEVELS, repeat=size) if any(levels)]


@given(FILTERS, FILTERS)
@settings(max_examples=300, deadline=None)
def test_who_may_subscribe_gets_nothing_else(allowed: str, asked: str) -> None:
    """allowed covers asked: then it takes every topic that asked takes."""
    if covers(allowed, asked):
        assert all(filter_takes(allowed, topic) for topic in EVERY_TOPIC if filter_takes(asked, topic))


@given(FILTERS)
def test_every_filter_covers_itself(text: str) -> None:
    """`#` too, but for topics of the server, which no leading wildcard takes."""
    assert covers(text, text)


def test_is_plain_looks_at_whole_levels() -> None:
    """A topic that only begins like one of IoT Hub's is plain."""
    assert is_plain("devices-of-ours/1")
    assert is_plain("+/x")
    assert not is_plain("devices/+/x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{who = "*"}', "allows nothing"),
        ('{who = "a b", publish = ["t"]}', "got 'a b', expected a device id"),
        ('{who = "a/b/c", publish = ["t"]}', "or device/module"),
        ('{who = "*", publish = ["a/#/b"]}', "last level only"),
        ('{who = "*", publish = [""]}', "empty"),
        ('{who = "*", publish = ["$SYS/#"]}', "IoT Hub's own"),
        ('{who = "*", subscribe = ["devices/#"]}', "IoT Hub's own"),
        ('{who = "*", subscribe = ["$share/g/t"]}', "IoT Hub's own"),
        ('{who = "*", publish = ["a/{name}"]}', "neither {device} nor {module}"),
        ('{who = "pump-*", publish = ["a/{module}"]}', "no {module}"),
        ('{who = "*", publish = "t"}', "publish"),
        ('{who = "*", publish = [1]}', "got int"),
        ('{who = "*", publish = ["t"], allow = true}', "allow"),
        ('{who = "*", publish = ["t"], retain = "no"}', "retain"),
    ],
)
def test_wrong_rules(tmp_path: Path, text: str, said: str) -> None:
    """Told when the file is read, with the place."""
    path = tmp_path / "leafward.toml"
    path.write_text(f'[hub.policy]\nrules = [{{who = "*", publish = ["t"]}}, {text}]\n')
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert said in str(caught.value)
    assert "rules.1" in str(caught.value)


def test_rules_as_the_page_has_them(tmp_path: Path) -> None:
    """Both spellings of TOML: inline tables, and one table a rule."""
    path = tmp_path / "leafward.toml"
    path.write_text('[[hub.policy.rules]]\nwho = "pump-*"\npublish = ["plant/{device}/#"]\nretain = false\n')
    (found,) = read_settings(path).hub.policy.rules
    assert (found.who, found.publish, found.subscribe, found.retain) == ("pump-*", ["plant/{device}/#"], [], False)

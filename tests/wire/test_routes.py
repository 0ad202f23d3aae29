"""Routes: what they take, and where their reader stops."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import SettingsError
from leafward.wire.routes import DEFAULT_ROUTE, Route, Router, brokered_endpoint, module_input


@dataclass
class Sent:
    """A message as routes see it."""

    device_id: str = "leaf1"
    module_id: str | None = None
    output: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


LEAF, MODULE, OUTPUT = Sent(), Sent("gw", "Filter"), Sent("gw", "Filter", "Out1")


@pytest.mark.parametrize(
    ("source", "leaf", "module", "output"),
    [
        ("/*", True, True, True),
        ("/messages/*", True, True, True),
        ("/messages", True, True, True),
        ("/messages/events", True, False, False),
        ("/messages/modules/*", False, True, True),
        ("/messages/modules/filter/*", False, True, True),
        ("/Messages/Modules/FILTER/*", False, True, True),
        ("/messages/modules/filter", False, True, True),
        ("/messages/modules/filter/outputs/*", False, False, True),
        ("/messages/modules/filter/outputs/out1", False, False, True),
        ("/messages/modules/filter/outputs/out2", False, False, False),
        ("/messages/modules/fil/*", False, False, False),
        ("/messages/modules/filters/*", False, False, False),
        ("/twinChangeNotifications", False, False, False),
    ],
)
def test_sources(source: str, leaf: bool, module: bool, output: bool) -> None:
    """Whole segments from the left, without case."""
    route = Route.parse(f"FROM {source} INTO $upstream")
    assert [route.matches(message) for message in (LEAF, MODULE, OUTPUT)] == [leaf, module, output]


FULL = Sent(
    properties={"level": "high", "t": "21.5", "n": "7", "on": "true", "it's": "x", "odd name": "y", "empty": ""},
    system={"contentType": "application/json", "messageId": "m1"},
    body=b'{"t": 30, "s": "30", "deep": {"list": [1, {"x": "found"}]}, "flag": true, "none": null}',
)


@pytest.mark.parametrize(
    "condition",
    [
        "level = 'high'",
        'level = "high"',
        "level <> 'low'",
        "level != 'low'",
        "level > 'a' AND level < 'z'",
        "t > 21",
        "21 < t",
        "t >= 21.5 AND t <= 21.5",
        "n = 7 AND n = 7.0 AND n > -1e3",
        "on = true",
        "{odd name} = 'y'",
        "{it's} = 'x'",
        "empty = ''",
        "$body.t = 30",
        "$body.t > 29.9 and $body.t < 30.1",
        "$body.s = '30'",
        "$body.deep.list[0] = 1",
        "$body.deep.list[1].x = 'found'",
        "$body.flag",
        "$body.flag = true",
        "$body.none = null",
        "$messageId = 'm1'",
        "$MESSAGEID = 'm1'",
        "$contentType = 'application/json'",
        "$connectionDeviceId = 'leaf1'",
        "NOT IS_DEFINED($connectionModuleId)",
        "not is_defined(nothing)",
        "IS_DEFINED($body.none) AND IS_DEFINED(level)",
        "NOT level = 'low'",
        "level = 'low' OR t > 1",
        "nothing = 1 OR t > 1",
        "level = 'low' OR level = 'mid' OR level = 'high'",
        "(level = 'low' OR level = 'high') AND NOT (t > 30)",
        "true",
        "TRUE AND NOT FALSE",
        "'a''b' = \"a'b\"",
        r"'a\'b' = " + r'"a\'b"',
        "level = {level}",
    ],
)
def test_conditions_that_hold(condition: str) -> None:
    """Each for the message above."""
    assert Route.parse(f"FROM /* WHERE {condition} INTO $upstream").matches(FULL)


@pytest.mark.parametrize(
    "condition",
    [
        "level = 'low'",
        "Level = 'high'",
        "nothing = 'x'",
        "nothing != 'x'",
        "NOT nothing = 'x'",
        "NOT (nothing = 1 AND t > 1)",
        "level > 5",
        "level = true",
        "level = null",
        "level",
        "on",
        "$body.s = 30",
        "$body.t = '30'",
        "$body.t.deeper = 1",
        "$body.deep = 1",
        "$body.deep.list[9] = 1",
        "$body.deep[0] = 1",
        "$body.flag > false",
        "$body.none > null",
        "$nothing = 'x'",
        "IS_DEFINED($connectionModuleId)",
        "$outputName = 'o'",
        "false",
        "NOT level",
        "1",
    ],
)
def test_conditions_that_do_not_hold(condition: str) -> None:
    """False, or undefined: a value that is missing, or of another kind, matches nothing, negated or not."""
    assert not Route.parse(f"FROM /* WHERE {condition} INTO $upstream").matches(FULL)


@pytest.mark.parametrize(
    ("body", "system", "holds"),
    [
        (b'{"x": 1}', {}, True),
        (b'{"x": 1}', {"contentType": "application/json", "contentEncoding": "UTF-8"}, True),
        (b'{"x": 1}', {"contentType": "text/plain"}, False),
        (b'{"x": 1}', {"contentEncoding": "gzip"}, False),
        (b'{"x": 1', {}, False),
        (b"\xff", {}, False),
        (b"[" * 100_000, {}, False),
        (b'{"x": NaN}', {}, False),
        (b"1", {}, False),
    ],
)
def test_a_body_is_json_or_undefined(body: bytes, system: dict[str, str], holds: bool) -> None:
    """What is not JSON, or says it is not, has no $body; nothing is raised."""
    assert Route.parse("FROM /* WHERE $body.x = 1 INTO $upstream").matches(Sent(body=body, system=system)) is holds


def test_module_and_output_as_system_properties() -> None:
    """$connectionModuleId and $outputName of a module's message."""
    route = Route.parse("FROM /* WHERE $connectionModuleId = 'Filter' AND $outputName = 'Out1' INTO $upstream")
    assert route.matches(OUTPUT)
    assert not route.matches(MODULE)


def test_endpoints() -> None:
    """$upstream, or a module's input."""
    route = Route.parse('from /messages/* into BrokeredEndpoint("/modules/modB/inputs/in1")')
    assert route.endpoint == "modB/inputs/in1" == brokered_endpoint("modB", "in1")
    assert module_input(route.endpoint) == ("modB", "in1")
    assert Route.parse("FROM /* INTO $UPSTREAM").endpoint == "$upstream"
    assert module_input("$upstream") is None


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 1, "FROM"),
        ("SELECT * FROM /*", 1, "FROM"),
        ("FROM", 5, "a source"),
        ("FROM messages INTO $upstream", 6, "a source"),
        ("FROM /*", 8, "INTO or WHERE"),
        ("FROM /* WHEN a = 1 INTO $upstream", 9, "INTO or WHERE"),
        ("FROM /* WHERE INTO $upstream", 15, "a property or a value or NOT or '('"),
        ("FROM /* WHERE a = INTO $upstream", 19, "a property"),
        ("FROM /* WHERE a == 1 INTO $upstream", 18, "a property"),
        ("FROM /* WHERE a = 1", 20, "INTO or AND or OR"),
        ("FROM /* WHERE a = 1 b INTO $upstream", 21, "INTO or AND or OR"),
        ("FROM /* WHERE a = 'x INTO $upstream", 19, "a property"),
        ("FROM /* WHERE (a = 1 INTO $upstream", 22, "')'"),
        ("FROM /* WHERE IS_DEFINED(1) INTO $upstream", 26, "a property"),
        ("FROM /* WHERE IS_DEFINED a INTO $upstream", 26, "'('"),
        ("FROM /* WHERE a = 1e999 INTO $upstream", 19, "a smaller number"),
        ("FROM /* INTO $downstream", 14, "BROKEREDENDPOINT or $upstream"),
        ("FROM /* INTO BrokeredEndpoint(modA)", 31, "a string"),
        ('FROM /* INTO BrokeredEndpoint("/modules/m/inputs/i"', 52, "')'"),
        ("FROM /* INTO $upstream $upstream", 24, "the end"),
        ("FROM /* WHERE " + "(" * 40 + "a" + ")" * 40 + " INTO $upstream", 48, "at most 32 levels"),
        ("FROM /* WHERE " + "NOT " * 40 + "a INTO $upstream", 147, "at most 32 levels"),
    ],
)
def test_where_the_reader_stops(text: str, position: int, expected: str) -> None:
    """The error says at which character, what stood there and what could have."""
    with pytest.raises(SettingsError) as caught:
        Route.parse(text)
    assert f"at character {position}: got " in str(caught.value)
    assert f"expected {expected}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "FROM /elsewhere/* INTO $upstream",
        "FROM /messages/*/x INTO $upstream",
        "FROM /messages//x INTO $upstream",
        'FROM /* INTO BrokeredEndpoint("/modules/m")',
        'FROM /* INTO BrokeredEndpoint("/modules/m+/inputs/i")',
        'FROM /* INTO BrokeredEndpoint("/modules/m/inputs/a/b")',
        'FROM /* INTO BrokeredEndpoint("/modules/m/inputs/#")',
        "FROM /* INTO $upstream" + " " * 5000,
    ],
)
def test_read_but_not_meaningful(text: str) -> None:
    """Unknown sources, wildcards in the middle, endpoints of another form, too long -> SettingsError."""
    with pytest.raises(SettingsError):
        Route.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but SettingsError, at either end of a route."""
    for candidate in (text, f"FROM /* WHERE {text} INTO $upstream", f"FROM /* INTO {text}"):
        try:
            Route.parse(candidate).matches(FULL)
        except SettingsError:
            continue


def test_without_routes_everything_goes_upstream() -> None:
    """No routes -> $upstream for leaves and modules alike."""
    assert Route.parse(DEFAULT_ROUTE.text) == DEFAULT_ROUTE
    for router in (Router(), Router([]), Router([DEFAULT_ROUTE])):
        assert [router.endpoints_for(message) for message in (LEAF, MODULE, OUTPUT)] == [["$upstream"]] * 3


def test_a_message_gets_to_each_endpoint_once() -> None:
    """Two routes to one endpoint -> once; order of the routes; none at all is possible."""
    router = Router(
        map(
            Route.parse,
            [
                'FROM /messages/modules/filter/outputs/* INTO BrokeredEndpoint("/modules/b/inputs/i")',
                "FROM /messages/modules/* WHERE level = 'high' INTO $upstream",
                "FROM /messages/modules/filter/* INTO $upstream",
            ],
        )
    )
    assert router.endpoints_for(OUTPUT) == ["b/inputs/i", "$upstream"]
    assert router.endpoints_for(Sent("gw", "other", properties={"level": "high"})) == ["$upstream"]
    assert router.endpoints_for(LEAF) == []


def test_invented_outputs_do_not_fill_the_memory() -> None:
    """A module that names a new output with every message."""
    router = Router()
    for number in range(3000):
        assert router.endpoints_for(Sent("gw", "m", str(number))) == ["$upstream"]
    assert len(router._by_sender) <= 1024

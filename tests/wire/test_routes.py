"""Routes: what they take, and where their reader stops."""

import pytest

from leafward.errors import SettingsError
from leafward.wire.routes import DEFAULT_ROUTE, Route, RouteError, Router, brokered_endpoint, module_input
from tests.wire.sent_message import LEAF, MODULE, OUTPUT, Sent


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
        ("SELECT level FROM /*", 8, "'*'"),
        ("SELECT * INTO $upstream", 10, "FROM"),
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
        ("FROM /* WHERE IS_DEFINED() INTO $upstream", 26, "a property"),
        ("FROM /* WHERE IS_DEFINED(a, b) INTO $upstream", 27, "')'"),
        ("FROM /* WHERE STARTS_WITH(a) INTO $upstream", 28, "','"),
        ("FROM /* WHERE LENGTH(a, b) = 1 INTO $upstream", 23, "')'"),
        ("FROM /* WHERE 1 + INTO $upstream", 19, "a property"),
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


def test_the_place_is_pointed_at() -> None:
    """A caret below it; of a long route, what is around it; of several lines, the one."""
    with pytest.raises(RouteError) as caught:
        Route.parse("FROM /*\nWHERE a = \nINTO $upstream")
    assert caught.value.pointed() == "INTO $upstream\n^"
    with pytest.raises(RouteError) as caught:
        Route.parse("FROM /* WHERE " + "a = 1 OR " * 30 + "b == 2 INTO $upstream")
    line, caret = caught.value.pointed().split("\n")
    assert line[len(caret) - 1 :] == "= 2 INTO $upstream"
    assert len(line) <= 120


@pytest.mark.parametrize(
    ("source", "kind", "taken"),
    [
        ("/twinChangeNotifications", "twinChangeNotifications", True),
        ("/twinChangeNotifications/*", "twinChangeNotifications", True),
        ("/*", "twinChangeNotifications", True),
        ("/messages/*", "twinChangeNotifications", False),
        ("/deviceLifecycleEvents", "twinChangeNotifications", False),
        ("/deviceConnectionStateEvents", "deviceConnectionStateEvents", True),
    ],
)
def test_events(source: str, kind: str, taken: bool) -> None:
    """What the hub itself tells of a device is no telemetry."""
    event = Sent(system={"messageType": kind})
    route = Route.parse(f"FROM {source} INTO $upstream")
    assert route.matches(event) is taken
    assert bool(Router([route]).endpoints_for(event)) is taken


def test_priorities_and_times_to_live() -> None:
    """Each priority has its queue; the best one counts, of equal ones the longest life."""
    routes = [
        Route.parse("FROM /messages/* INTO $upstream"),
        Route.parse("FROM /messages/* WHERE level = 'high' INTO $upstream", priority=3, time_to_live=60),
        Route.parse("FROM /messages/* WHERE level = 'high' INTO $upstream", priority=3, time_to_live=-1),
        Route.parse("FROM /messages/* WHERE level = 'high' INTO $upstream", priority=4, time_to_live=0),
    ]
    router = Router(routes, 7200)
    assert router.endpoints_for(LEAF) == {"$upstream": 7200}
    assert router.endpoints_for(Sent(properties={"level": "high"})) == {"$upstream#3": None}
    assert router.queues(["b/inputs/i#9", "b/inputs/i"]) == [
        "$upstream#3",
        "$upstream#4",
        "b/inputs/i#9",
        "$upstream",
        "b/inputs/i",
    ]
    assert [module_input(queue) for queue in ("b/inputs/i#9", "b#9/inputs/i", "$upstream#3", "devicebound/b")] == [
        ("b", "i"),
        ("b#9", "i"),
        None,
        None,
    ]


@pytest.mark.parametrize("terms", [{"priority": 10}, {"priority": -1}, {"time_to_live": -2}, {"time_to_live": 2**31}])
def test_terms_out_of_range(terms: dict[str, int]) -> None:
    """Refused."""
    with pytest.raises(SettingsError):
        Route.parse("FROM /* INTO $upstream", **terms)  # type: ignore[arg-type]


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


def test_without_routes_everything_goes_upstream() -> None:
    """No routes -> $upstream for leaves and modules alike."""
    assert Route.parse(DEFAULT_ROUTE.text) == DEFAULT_ROUTE
    for router in (Router(), Router([]), Router([DEFAULT_ROUTE])):
        assert [router.endpoints_for(message) for message in (LEAF, MODULE, OUTPUT)] == [{"$upstream": None}] * 3


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
    assert router.endpoints_for(OUTPUT) == {"b/inputs/i": None, "$upstream": None}
    assert router.endpoints_for(Sent("gw", "other", properties={"level": "high"})) == {"$upstream": None}
    assert router.endpoints_for(LEAF) == {}


def test_invented_outputs_do_not_fill_the_memory() -> None:
    """A module that names a new output with every message."""
    router = Router()
    for number in range(3000):
        assert router.endpoints_for(Sent("gw", "m", str(number))) == {"$upstream": None}
    assert len(router._by_sender) <= 1024

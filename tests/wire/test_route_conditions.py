"""Conditions of routes: which hold for a message, which do not, and which can never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import SettingsError
from leafward.wire.routes import Route, RouteError
from tests.wire.sent_message import MODULE, OUTPUT, Sent

FULL = Sent(
    properties={
        "dash-ed.name": "d",
        "$mine": "own",
        "level": "high",
        "t": "21.5",
        "n": "7",
        "on": "true",
        "it's": "x",
        "odd name": "y",
        "empty": "",
    },
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
        "Level = 'high'",
        "as_number(n) + 1 = 8 and as_number(n) - 1 = 6",
        "$body.t * 2 / 3 - 1 = 19",
        "$body.t % 7 = 2",
        "-$body.t < 0 AND - ($body.t - 31) = 1",
        "1 / 0 > 1e300 AND -1 / 0 < -1e300",
        "2 + 3 * 4 = 14 AND (2 + 3) * 4 = 20",
        "0x1F = 31 AND .5 = 5e-1",
        "'a' || level || 'b' = 'ahighb'",
        "(nothing ?? level ?? 'x') = 'high'",
        "($body.nothing ?? 5) = 5",
        "{$contentType} = 'application/json'",
        "$mine = 'own' AND {$messageId} = 'm1'",
        r"'\u0041\"' = 'A' || '" + '"' + "'",
        "as_number(t) = 21.5 AND AS_NUMBER(7) = 7",
        "concat('a', level, 'b') = 'ahighb'",
        "length(level) = 4 AND upper(level) = 'HIGH' AND lower('ABC') = 'abc'",
        "substring(level, 1) = 'igh' AND substring(level, 1, 2) = 'ig' AND substring(level, 4) = ''",
        "index_of(level, 'g') = 2 AND index_of(level, 'x') = -1",
        "starts_with(level, 'hi') AND ends_with(level, 'gh') AND contains(level, 'ig')",
        "abs(-3) = 3 AND sign(-3) = -1 AND sign(0) = 0 AND square(3) = 9 AND sqrt(16) = 4",
        "power(2, 10) = 1024 AND exp(0) = 1 AND ceiling(1.2) = 2 AND floor(-1.2) = -2",
        "is_null($body.none) AND NOT is_null(nothing)",
        "is_number($body.t) AND is_string(level) AND is_bool($body.flag)",
        "NOT is_number(nothing) AND NOT is_string($body.deep)",
        "IS_DEFINED(1) AND NOT IS_DEFINED(undefined) AND NOT IS_DEFINED($body.t / $body.s)",
        "NOT null",
        "dash-ed.name = 'd'",
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
        "$body.flag > $body.flag",
        "$body.none > null",
        "$nothing = 'x'",
        "IS_DEFINED($connectionModuleId)",
        "$outputName = 'o'",
        "false",
        "1",
        "as_number(level) = 1",
        "as_number('1_000') = 1000 OR as_number('nan') = 1 OR as_number('infinity') > 1",
        "$body.s + 1 = 31",
        "0 / 0 = 0 / 0",
        "1 % 0 = 0 OR sqrt(-1) = 0 OR power(-1, 0.5) = 0 OR power(0, -1) = 0",
        "substring(level, 5) = '' OR substring(level, -1) = '' OR substring(level, 3, 2) = 'h'",
        "substring(level, 1 / 0) = ''",
        "length(nothing) = 0 OR 'a' || nothing = 'a'",
        "undefined",
        "undefined ?? undefined",
        "null",
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


@pytest.mark.parametrize(
    ("condition", "position", "why"),
    [
        ("NOT level", 5, "NOT takes a boolean, and this is a string"),
        ("level AND true", 1, "AND takes a boolean"),
        ("true OR 1", 9, "OR takes a boolean"),
        ("t + 1 = 2", 1, "+ takes a number, and this is a string: AS_NUMBER(…)"),
        ("1 + 'a' = 2", 5, "+ takes a number"),
        ("2 * level = 1", 5, "* takes a number"),
        ("-(level) = 1", 2, "- takes a number"),
        ("'a' || 1 = 'a1'", 8, "|| takes a string, and this is a number"),
        ("length(12.34) = 5", 8, "LENGTH takes a string"),
        ("substring(level, 'a') = 'b'", 18, "SUBSTRING takes a number"),
        ("length(level) = '4'", 17, "a number is never comparable with a string"),
        ("true < false", 8, "< is for numbers and strings"),
        ("power(2)", 8, "expected ','"),
        ("nosuch(1)", 1, "there is no function 'nosuch'; there are ABS, AS_NUMBER"),
        ("twin_change_includes(a)", 1, "there is no function"),
    ],
)
def test_what_can_never_be_true_is_refused(condition: str, position: int, why: str) -> None:
    """An operand that is known to be of the wrong kind, at its own place."""
    with pytest.raises(RouteError) as caught:
        Route.parse(f"FROM /* WHERE {condition} INTO $upstream")
    assert f"at character {14 + position}: " in str(caught.value)
    assert why in str(caught.value)
    assert caught.value.position == 13 + position


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but SettingsError, at either end of a route."""
    for candidate in (text, f"FROM /* WHERE {text} INTO $upstream", f"FROM /* INTO {text}"):
        try:
            Route.parse(candidate).matches(FULL)
        except SettingsError:
            continue

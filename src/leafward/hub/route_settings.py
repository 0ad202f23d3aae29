"""The `[hub.routes]` table: a route is its text, or a table with its priority and time to live as well.

[hub.routes]
upstream = "FROM /messages/* INTO $upstream"
alarms = {route = "FROM /messages/* WHERE level = 'alarm' INTO $upstream", priority = 0, time_to_live_secs = -1}
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from leafward.errors import LeafwardError
from leafward.wire.routes import Route, RouteError

_KEYS = ("route", "priority", "time_to_live_secs")
# Before the route and the caret below it.
_INDENT = "\n    "


def route_of(value: object) -> Route:
    """The route of a setting. Raises `ValueError` that says what is wrong, and where in the route."""
    terms: Mapping[str, Any] = value if isinstance(value, Mapping) else {"route": value}
    if unknown := [key for key in terms if key not in _KEYS]:
        raise ValueError(f"{unknown[0]!r} is not known, known are {', '.join(_KEYS)}")
    text = terms.get("route")
    if not isinstance(text, str):
        raise ValueError(f"got {type(text).__name__}, expected text such as FROM /messages/* INTO $upstream")
    for key in _KEYS[1:]:
        if key in terms and type(terms[key]) is not int:
            raise ValueError(f"{key}: got {type(terms[key]).__name__}, expected a whole number")
    try:
        return Route.parse(text, priority=terms.get("priority"), time_to_live=terms.get("time_to_live_secs"))
    except RouteError as error:
        raise ValueError(_INDENT.join([str(error), *error.pointed().split("\n")])) from error
    except LeafwardError as error:
        raise ValueError(str(error)) from error


# A `Route` once validated; pydantic need not look into it.
RouteSetting = Annotated[Any, BeforeValidator(route_of)]

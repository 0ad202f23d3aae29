"""The `[hub.policy]` table of `leafward.toml`: who may use which plain topics. Judged by `plain_policy`.

    [hub.policy]
    rules = [
      {who = "pump-*", publish = ["plant/{device}/#"], subscribe = ["plant/{device}/orders/#", "plant/all"]},
      {who = "edge-device/historian", subscribe = ["plant/#"]},
      {who = "*", publish = ["lobby"], retain = false},
    ]

Wrong rules are told when the file is read, with their place in it.
"""

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from leafward.errors import LeafwardError
from leafward.hub.plain_policy import DEVICE, MODULE, RESERVED_LEVEL, is_plain
from leafward.store.settings_file import Table
from leafward.wire.mqtt.topics import check_filter, write_text

_ID = r"[A-Za-z0-9.%_*?!(),:=@$'-]+"
_WHO = re.compile(f"{_ID}(/{_ID})?")


def _plain_filter(text: object) -> str:
    """A topic filter on plain topics, with `{device}` and `{module}` where a client's own ids stand."""
    if not isinstance(text, str):
        raise ValueError(f"got {type(text).__name__}, expected a topic filter such as plant/{{device}}/#")
    left = text.replace(DEVICE, "d").replace(MODULE, "m")
    if "{" in left or "}" in left:
        raise ValueError(f"{text!r} has a brace that is neither {DEVICE} nor {MODULE}")
    try:
        check_filter(write_text(left, "topic filter").decode())
    except LeafwardError as error:
        raise ValueError(f"{text!r}: {error}") from error
    if not is_plain(left):
        raise ValueError(f"{text!r} is IoT Hub's own: plain topics begin neither with '$' nor with '{RESERVED_LEVEL}/'")
    return text


def _client(text: object) -> str:
    """Who a rule is for: one id or two, each with '*' for any of its characters."""
    if not isinstance(text, str) or _WHO.fullmatch(text) is None:
        raise ValueError(f"got {text!r}, expected a device id such as pump-7 or pump-*, or device/module")
    return text


Who = Annotated[str, BeforeValidator(_client)]
PlainFilter = Annotated[str, BeforeValidator(_plain_filter)]


class PolicyRule(Table):
    """What some clients may do on plain topics.

    `who`: a device id or `device/module`, with `*` for any characters of an id; `*` alone is everybody. `publish` and
    `subscribe` are topic filters. `retain`: whether they may have messages retained.
    """

    who: Who
    publish: list[PlainFilter] = Field(default_factory=list)
    subscribe: list[PlainFilter] = Field(default_factory=list)
    retain: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _allows_something(self) -> Self:
        if not self.publish and not self.subscribe:
            raise ValueError(f"the rule for {self.who!r} allows nothing: give publish, subscribe or both")
        if "/" not in self.who and any(MODULE in text for text in (*self.publish, *self.subscribe)) and self.who != "*":
            raise ValueError(f"the rule for {self.who!r} names devices, which have no {MODULE}")
        return self


class PolicyTable(Table):
    """`[hub.policy]`: rules for plain topics. What no rule allows is refused."""

    rules: list[PolicyRule] = Field(default_factory=list)

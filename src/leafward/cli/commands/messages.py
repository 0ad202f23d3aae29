"""`leafward messages`: what the hub holds or has forwarded, one a line."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.messages import Message

# How long `--follow` waits before it looks for more; a person does not notice it.
POLL_SECONDS = 0.2
PAGE = 500


@click.command("messages")
@click.option("--follow", "-f", is_flag=True, help="Go on and show each message as it comes.")
@home_option
@json_option
def command(follow: bool, home: Home, as_json: bool) -> None:
    """The messages that the hub holds or has forwarded, oldest first, one a line."""
    from leafward.wire.hub_messages import shown

    for message in read_messages(home, follow=follow):
        if as_json:
            voice.say_json(shown(message))
        else:
            voice.say(sentence(message))


def read_messages(home: Home, *, follow: bool) -> Iterator["Message"]:
    """All messages; with `follow`, those that come too, for ever."""
    from leafward.store.messages import MessageStore

    if not home.messages.exists() and not follow:
        return
    while not home.messages.exists():
        time.sleep(POLL_SECONDS)
    after = 0
    with MessageStore.open_read_only(home.messages) as store:
        while True:
            page = store.read(after=after, limit=PAGE)
            yield from page
            after = page[-1].id or after if page else after
            if len(page) < PAGE:
                if not follow:
                    return
                time.sleep(POLL_SECONDS)


def sentence(message: "Message") -> str:
    """A message as a line for people."""
    source = f"{message.device_id}/{message.module_id}" if message.module_id else message.device_id
    output = f" [{message.output}]" if message.output else ""
    properties = " ".join(f"{key}={value}" for key, value in message.properties.items())
    body = message.body.decode("utf-8", "backslashreplace")
    tail = f"  ({properties})" if properties else ""
    return printable(f"{message.enqueued:%H:%M:%S}  {source}{output}  {body}{tail}")


def printable(text: str) -> str:
    """A device's bytes must not steer the terminal of the one who reads them."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)

"""`leafward hub policy`: shared access policies, by which services come in."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "list": "the policies that there are, without keys",
    "create": "make a policy with two fresh keys",
    "show": "a policy's connection string, the key in it",
    "rotate": "make one of the two keys anew",
    "delete": "take a policy away; who came in by it is cut off",
}


@click.group("policy", cls=LazyGroup, package="leafward.cli.commands.hub.policy", table=COMMANDS)
def command() -> None:
    """Shared access policies: by which services, which are no devices, come in over AMQP and HTTPS.

    There are none until you make one. The hub must be running.

    \b
    Examples:
      leafward hub policy create service
      leafward hub policy show service
      leafward hub policy rotate service --secondary
      leafward hub policy delete service
    """

"""`leafward device`: the leaf devices of this gateway, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "add": "register a leaf device; what it needs to connect",
    "list": "the leaf devices that are registered",
    "show": "one leaf device",
    "enable": "let a disabled device connect again",
    "disable": "refuse a device from now on, live connections included",
    "set-parent": "which child gateway a device is behind",
    "remove": "remove a device, with what was made for it here",
    "rotate-key": "another primary or secondary key, or thumbprint",
    "export": "the registry as lines of JSON",
    "import": "devices by the thousand, from lines of JSON",
    "method": "call a direct method of a device or module that is connected",
    "twin": "desired and reported properties: show, set, watch",
    "snippet": "code that connects the device: Python, Node, C, C#, Java, Arduino, command lines",
    "send": "send a message to a device, which waits until the device takes it",
}


@click.group("device", cls=LazyGroup, package="leafward.cli.commands.device", table=COMMANDS)
def command() -> None:
    """Leaf devices: registration, direct methods, messages.

    \b
    Examples:
      leafward device add pump-7                      a connection string
      leafward device add pump-8 --auth x509-ca       a certificate from this gateway's device CA
      leafward device disable pump-7                  cut off at once, live connections included
      leafward device method pump-7 restart           call a method and show its answer
      leafward device send pump-7 'open the valve'    a message that waits for the device
    """

"""The `leafward` command: the table of commands, loaded only when used, and the one place where errors become exits.

Exit codes: 0 done, 1 the answer is "no", 2 wrong use, 3 cannot do it.
"""

import contextlib
import os
import sys
from typing import Any, NoReturn

import click

from leafward import __version__
from leafward.cli import voice
from leafward.cli.lazy_group import LazyGroup
from leafward.errors import LeafwardError

# command -> what it does, in the order shown. The module is leafward.cli.commands.NAME, its click command `command`.
COMMANDS = {
    "up": "the whole edge in one command: chain, manager, hub, provisioning",
    "device": "leaf devices: add, list, show, enable, disable, remove",
    "module": "modules of this edge: add, list, remove, run",
    "messages": "the messages that the hub holds or has forwarded",
    "chain": "the hierarchy of a PEM file or of HOST:PORT, as a tree",
    "verify": "path validation with our policies",
    "ca": "the maker's authority: root, intermediates, device CAs, leaf certificates",
    "manager": "the device's security manager, alone",
    "hub": "the hub, alone, and its routes",
    "provisioning": "the provisioning service, alone",
}

EXAMPLES = """\b
Examples:
  leafward up                                   a working edge, with a development chain
  leafward device add pump-7                    register a leaf device, print its connection string
  leafward messages --follow                    what the leaf devices send
  leafward chain gateway.local:8883             the hierarchy that a hub presents
  leafward verify chain.pem --root root.pem --name gateway.local
"""


@click.group(
    cls=LazyGroup,
    package="leafward.cli.commands",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXAMPLES,
)
@click.option("--home", type=click.Path(), metavar="DIR", help="Where the state lives (or LEAFWARD_HOME).")
@click.version_option(__version__, prog_name="leafward", message="%(prog)s %(version)s")
def cli(home: str | None) -> None:
    """Identities for edge gateways and the devices behind them, from the maker's root to the hub's certificate."""
    if home is not None:
        os.environ["LEAFWARD_HOME"] = home


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command and exits. A mistake of the user's never shows a traceback."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="leafward", standalone_mode=False)
    except LeafwardError as error:
        voice.fail(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("leafward: stopped", err=True)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`leafward messages | head`): that is its right. The descriptor is
        # replaced so that the interpreter's own flush at exit does not complain.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0

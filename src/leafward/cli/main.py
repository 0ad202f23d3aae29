"""The `leafward` command: the table of commands, loaded only when used, and the one place where errors become exits.

Exit codes: 0 done, 1 the answer is "no", 2 wrong use, 3 cannot do it.
"""

import gc
import os
import sys
import warnings
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
    "doctor": "why a leaf cannot connect: one cause, its evidence, who can mend it and how",
    "trust": "the root in the trust stores of this machine",
    "ca": "the maker's authority: root, intermediates, device CAs, leaf certificates",
    "certgen": "the convenience scripts' commands, bash and PowerShell",
    "manager": "the device's security manager, alone",
    "hub": "the hub, alone, and its routes",
    "provisioning": "the provisioning service: run, CAs and their proof, registrations",
    "enrolment": "which devices may admit themselves: add, list, update, disable, remove",
}

# As a shell counts a program that SIGINT ended.
STOPPED = 130

EXAMPLES = """\b
Examples:
  leafward up                                   a working edge, with a development chain
  leafward device add pump-7                    register a leaf device, print its connection string
  leafward messages --follow                    what the leaf devices send
  leafward chain gateway.local:8883             the hierarchy that a hub presents
  leafward verify chain.pem --root root.pem --name gateway.local
  leafward doctor gateway.local:8883 --root root.pem   why a leaf device cannot connect
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
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # a library's words to programmers, about a stranger's certificate
    code = run(arguments)
    gc.freeze()  # the system takes all memory back: to look through it for garbage first is a tenth of a short command
    sys.exit(code)


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
    except (click.Abort, KeyboardInterrupt, voice.ReaderGone) as error:
        return _ended_early(error)
    except Exception as error:
        return _fault_of_ours(error)
    # What a command returned, or the code of a click `Exit` within it.
    return result if isinstance(result, int) else 0


def _ended_early(error: BaseException) -> int:
    """Nobody reads on: done. Ctrl-C: stopped."""
    if isinstance(error, voice.ReaderGone):
        return 0
    click.echo("leafward: stopped", err=True)
    return STOPPED


def _fault_of_ours(error: Exception) -> int:
    """What nobody foresaw: said in a line, and in full where LEAFWARD_TRACEBACK asks for it."""
    if os.environ.get("LEAFWARD_TRACEBACK"):
        sys.excepthook(type(error), error, error.__traceback__)
    cause = LeafwardError(
        "this is a fault of leafward's own",
        why=f"{type(error).__name__}: {error}",
        hint="report it with what LEAFWARD_TRACEBACK=1 shows",
    )
    voice.fail(cause)
    return cause.exit_code

"""`leafward enrolment`: whom the provisioning service admits, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "add": "admit a device, or with --group the devices of a CA or a key",
    "list": "the enrolments",
    "show": "one enrolment",
    "update": "change one",
    "enable": "admit again",
    "disable": "admit nobody by it any more",
    "remove": "forget one",
    "device-key": "the key of a device of a group by symmetric key",
}


@click.group("enrolment", cls=LazyGroup, package="leafward.cli.commands.enrolment", table=COMMANDS)
def command() -> None:
    """Enrolments: which devices may admit themselves, by what, and what they are given.

    \b
    Examples:
      leafward enrolment add pump-7 --certificate pump-7.pem
      leafward enrolment add line-3 --group --ca line-3
      leafward enrolment add batch-9 --group --symmetric-key
      leafward enrolment device-key batch-9 pump-12
      leafward enrolment disable line-3 --group
    """

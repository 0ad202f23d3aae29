"""The options of `leafward doctor` that are about servers, a leaf's own certificate, and other people's clients."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from leafward.doctor.target_kinds import Asked

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

# `doctor/clients/__init__.py` has the same, and a test holds the two together: loading it costs time.
CLIENTS = (
    "openssl",
    "python",
    "python-3.13-strict",
    "node",
    "java",
    "mbedtls",
    "wolfssl",
    "gnutls",
    "azure-sdk-python",
    "azure-sdk-node",
)


def live_options(function: Decorated) -> Decorated:
    """`--timeout`, `--certificate`, `--key`, `--no-login`, `--as`, `--error`."""
    for option in reversed(
        (
            click.option(
                "--timeout",
                metavar="SECONDS",
                type=click.FloatRange(0.1, 600),
                default=15.0,
                show_default=True,
                help="For all that is asked of one server.",
            ),
            click.option("--certificate", metavar="FILE", help="The leaf's own chain, PEM, to show to a server."),
            click.option("--key", metavar="FILE", help="Its private key, PEM, not encrypted."),
            click.option("--no-login", is_flag=True, help="Do not try the connection string at the server."),
            click.option(
                "--as",
                "clients",
                metavar="CLIENT",
                type=click.Choice(["all", *CLIENTS]),
                multiple=True,
                help=f"What a client would say: all, {', '.join(CLIENTS)}.",
            ),
            click.option(
                "--error", "error_text", metavar="TEXT", help="What an SDK or a tool said, to narrow the cause."
            ),
        )
    ):
        function = option(function)
    return function


def asked_of(given: dict[str, Any]) -> "Asked":
    """The options as the doctor takes them."""
    from leafward.doctor.target_kinds import Asked

    return Asked(
        connection_string=given["connection_string"],
        timeout=given["timeout"],
        certificate=given["certificate"],
        key=given["key"],
        login=not given["no_login"],
    )

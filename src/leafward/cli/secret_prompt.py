"""Asking the person at the terminal for a passphrase or a PIN, without showing what is typed."""

import os
import sys
from dataclasses import replace
from getpass import getpass

import click

from leafward.keys.passphrase import in_use, use


def allow_asking() -> None:
    """Lets this command ask, where somebody can see the question and answer it; else keys need a file or a variable.

    The question goes to the terminal itself, so standard input may bring requests and standard output certificates.
    """
    if sys.stderr.isatty() and _has_terminal():
        use(replace(in_use(), ask=_ask))


def _ask(prompt: str) -> str:
    try:
        return getpass(prompt)
    except EOFError:
        raise click.Abort from None


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        return False
    return True

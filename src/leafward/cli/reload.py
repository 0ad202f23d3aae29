"""SIGHUP: at a terminal that is closed it means the end, to a service it means "read your files anew"."""

import asyncio
import os
import signal

from leafward.cli.notify import Notifier


def reload_signal() -> asyncio.Event:
    """Is set by each SIGHUP from now on, where this process has no terminal; with one, SIGHUP means what it meant.

    To be called in the running loop's thread, which is the main one.
    """
    told, notifier, loop = asyncio.Event(), Notifier.of(os.environ), asyncio.get_running_loop()

    def take() -> None:
        # What is read anew is used once it has proved itself, or refused in the log: nobody is kept waiting for that.
        notifier.reloading()
        told.set()
        loop.call_soon(notifier.ready, "files are read anew")

    if not _has_terminal():
        loop.add_signal_handler(signal.SIGHUP, take)
    return told


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True

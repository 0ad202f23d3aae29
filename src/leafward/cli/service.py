"""Runs one part in this process until it is told to stop: the same way for `up` and for each part's own command."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import click

from leafward.cli import voice
from leafward.cli.health import Probe, ask_for_time, keep_alive
from leafward.cli.log_format import LogFormat, TextLines, formatter
from leafward.cli.notify import NOBODY, Notifier
from leafward.errors import LeafwardError

# What a part tells when all its listeners answer, as JSON values.
Ready = Callable[[dict[str, Any]], None]
Part = Callable[[asyncio.Event, Ready], Coroutine[Any, Any, None]]
# A sentence that says that a part is up, and what a person should know about it.
Announcement = tuple[str, list[str]]

_log = logging.getLogger(__name__)


def system_clock() -> datetime:
    """The system's clock, in UTC and aware: read here, at the edge, and passed inwards."""
    return datetime.now(UTC)


def serve(
    part: Part, ready: Ready, *, notifier: Notifier = NOBODY, probe: Probe | None = None, small: bool = False
) -> None:
    """Runs `part` until SIGTERM or SIGINT, or until it fails. Errors come out as the part raised them.

    `notifier` is told of the stop, and that the part lives, for as long as `probe` says so.
    """
    _run(_until_told(part, ready, notifier, probe), small=small)


def run_part(
    role: str,
    part: Part,
    announce: Callable[[dict[str, Any]], Announcement],
    *,
    log_level: int,
    log_format: LogFormat,
    probe: Probe | None = None,
    small: bool = False,
) -> None:
    """Runs a part as its own command, for a person or a service manager. Raises as `failures_told` says."""
    with failures_told(role, log_level, log_format) as is_plain:
        notifier = Notifier.of(os.environ)

        def ready(facts: dict[str, Any]) -> None:
            sentence, warnings = announce(facts)
            notifier.ready(sentence)
            _announce(sentence, warnings, is_plain=is_plain)

        try:
            serve(part, ready, notifier=notifier, probe=probe, small=small)
        except LeafwardError as error:
            notifier.status(str(error))
            raise


@contextlib.contextmanager
def failures_told(role: str, log_level: int, log_format: LogFormat) -> Iterator[bool]:
    """Sets up the log; where programs read it, what fails within becomes a line of it and a click `Exit`.

    Gives whether people read it: then errors go on to the one place that tells them.
    """
    is_plain = set_up_logging(role, log_level, log_format)
    try:
        yield is_plain
    except LeafwardError as error:
        if is_plain:
            raise
        _tell_in_log(error)
        raise click.exceptions.Exit(error.exit_code) from error
    except (click.exceptions.Exit, voice.ReaderGone):
        raise
    except Exception as error:
        if is_plain:
            raise
        _log_uncaught(type(error), error, error.__traceback__)
        raise click.exceptions.Exit(LeafwardError.exit_code) from error


def warn_in_log(text: str) -> None:
    """`voice.warn`, where programs read the log."""
    _log.warning("%s", text)


def _tell_in_log(error: LeafwardError) -> None:
    """An error as a line of the log: what happened and why, and what to do next."""
    if error.hint is None:
        _log.error("%s", error)
    else:
        _log.error("%s; next: %s", error, error.hint, extra={"hint": error.hint})


def _announce(sentence: str, warnings: list[str], *, is_plain: bool) -> None:
    if is_plain:
        voice.say(sentence)
        for warning in warnings:
            voice.warn(warning)
        return
    # Asked for, whatever the level of the log is.
    logging.getLogger().handle(_log.makeRecord(__name__, logging.INFO, __file__, 0, "%s", (sentence,), None))
    for warning in warnings:
        warn_in_log(warning)


async def _until_told(part: Part, ready: Ready, notifier: Notifier, probe: Probe | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signs_of_life = [loop.create_task(ask_for_time(notifier), name="asking for time")]

    def told_to_stop() -> None:
        if not stop.is_set():
            notifier.stopping()
        stop.set()

    def is_ready(facts: dict[str, Any]) -> None:
        ready(facts)
        signs_of_life.pop().cancel()
        signs_of_life.append(loop.create_task(keep_alive(notifier, probe), name="signs of life"))

    # SIGHUP too: a terminal that is closed tells all of its processes.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, told_to_stop)
    try:
        await part(stop, is_ready)
    finally:
        for task in signs_of_life:
            task.cancel()


def _run(main: Coroutine[Any, Any, None], *, small: bool) -> None:
    """`small`: in Python's own loop, which needs two megabytes less than uvloop and is a little slower."""
    run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
    if not small:
        # Only its own absence is passed over: what `main` cannot import has to be heard of.
        with contextlib.suppress(ImportError):
            import uvloop

            run = uvloop.run
    run(main)


def set_up_logging(role: str, level: int = logging.WARNING, form: LogFormat = "text") -> bool:
    """Log lines on standard error, and whatever Python itself would write there too. True where people read them.

    Uncaught exceptions and warnings become lines of the log, so that a program finds one form only.
    """
    handler = logging.StreamHandler(sys.stderr)
    lines = formatter(role, form, sys.stderr)
    handler.setFormatter(lines)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda uncaught: _log_uncaught(
        uncaught.exc_type, uncaught.exc_value or uncaught.exc_type(), uncaught.exc_traceback
    )
    return type(lines) is TextLines


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    _log.critical("a fault of leafward's own: %s: %s", kind.__name__, error, exc_info=(kind, error, traceback))

"""What `leafward up` does, from the lock to the clean stop.

1. Take the home: one edge a home.
2. Make what is missing of the maker's half: a development root, intermediate and device CA.
3. Start the manager (which makes the operator's half), the hub and provisioning, each a process of its own.
4. Say `run/ready.json` when every listener answers, and show the hierarchy and what to do next.
5. Run until SIGTERM, Ctrl-C, or until a part ends; then stop everything and take `run/ready.json` away.
"""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leafward.cli import edge, parts, voice
from leafward.cli.demo import Demo
from leafward.cli.log_format import LogFormat
from leafward.cli.notify import Notifier
from leafward.cli.options import ANYWHERE, https_ports
from leafward.cli.ready_file import ReadyFile
from leafward.cli.service import system_clock
from leafward.cli.signals import Signals
from leafward.cli.supervisor import Supervisor, ToldToStop
from leafward.errors import Busy, UsageError
from leafward.store.home import Home
from leafward.store.lock import HomeLock

# A killed `up` leaves parts that are on their way out; they hold the lock until they are gone.
LEFTOVERS_SECONDS = 10.0
PROGRAM = "leafward"


@dataclass(frozen=True)
class Options:
    """The command's options."""

    hostname: str | None
    bind: str
    mqtt_port: int
    https_port: int | None
    root_name: str | None
    intermediate_name: str | None
    device_ca_name: str | None
    demo: bool
    log_level: int
    log_format: LogFormat = "text"
    warn: Callable[[str], None] = voice.warn

    @property
    def names(self) -> dict[str, str]:
        """The names given for a new development chain."""
        given = {"root": self.root_name, "intermediate": self.intermediate_name, "device_ca": self.device_ca_name}
        return {key: value for key, value in given.items() if value is not None}


def run(home: Home, options: Options, signals: Signals) -> None:
    """Runs the edge of `home` until it is told to stop; a start that is refused changes no setting."""
    _refuse_one_port_for_both(options)
    ready = ReadyFile(home.ready)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_hold(home))
        if not _finish_wipe(home, options, signals):
            return
        hostname = stack.enter_context(edge.keeping_hostname(home, options.hostname))
        ready.remove_old()
        parts.load_libraries()
        supervisor = Supervisor(
            log_level=options.log_level,
            log_format=options.log_format,
            wake_fd=signals.wake_fd,
            orphaned=ready.remove_if_ours,
        )
        notifier = Notifier.of(os.environ)
        try:
            facts, warnings = _start(supervisor, home, hostname, options)
            ready.write(facts)
            notifier.ready(f"{hostname} is up")
            for warning in warnings:
                options.warn(warning)
            _run(supervisor, signals, home, facts, demo=options.demo)
        except ToldToStop:
            return
        finally:
            notifier.stopping()
            ready.remove()
            supervisor.stop()


def _finish_wipe(home: Home, options: Options, signals: Signals) -> bool:
    """A wipe that was interrupted comes before anything else; False where we are told to stop meanwhile.

    In a process of its own: the device CA's key ends with it.
    """
    if not home.wipe_marker.exists():
        return True
    from leafward.manager.start import LAST_SEEN
    from leafward.manager.time_floor import TimeFloor
    from leafward.manager.wipe import finish_wipe

    options.warn("finishing a wipe that was interrupted")
    once = Supervisor(log_level=options.log_level, wake_fd=signals.wake_fd, orphaned=lambda: None)
    try:
        once.run_once("wipe", lambda: finish_wipe(home, TimeFloor(home.manager / LAST_SEEN, system_clock)))
    except ToldToStop:
        return False
    finally:
        once.stop()
    return True


def _run(supervisor: Supervisor, signals: Signals, home: Home, facts: dict[str, Any], *, demo: bool) -> None:
    """Shows what there is, and waits for the end. An edge does not stop because nobody reads what it says."""
    with contextlib.suppress(voice.ReaderGone):
        _show(home, facts)
    with Demo(home, facts) if demo else contextlib.nullcontext() as shown:
        _watch(supervisor, signals, shown)


def _start(supervisor: Supervisor, home: Home, hostname: str, options: Options) -> tuple[dict[str, Any], list[str]]:
    """Starts the parts. Returns what `run/ready.json` says, and what the manager warns of."""
    supervisor.run_once("authority", lambda: _make_missing(home, hostname, options))
    supervisor.start("manager", parts.manager(home))
    if _enrols_first(home):
        # There is nothing to serve before there is a device CA, and its maker may not be reached for months.
        supervisor.wait_readable("manager")
    supervisor.start("hub", parts.hub(home, options.bind, options.mqtt_port, https_ports(options.https_port)))
    supervisor.start("provisioning", parts.provisioning(home))
    warnings: list[str] = supervisor.wait_ready("manager")["warnings"]
    hub = supervisor.wait_ready("hub")
    supervisor.wait_ready("provisioning")
    host = _reachable(options.bind)
    return {
        "hostname": hostname,
        "mqtts": {"host": host, "port": hub["mqtt_port"]},
        "https": {"host": host, "port": hub["https_port"]},
        **({"amqps": {"host": host, "port": hub["amqp_port"]}} if "amqp_port" in hub else {}),
        "workload_uri": f"unix://{home.workload_socket}",
        "management_uri": f"unix://{home.management_socket}",
        "root": str(home.root_certificate),
        "trust_bundle": str(home.trust_bundle),
        "pids": supervisor.pids,
    }, warnings


def _enrols_first(home: Home) -> bool:
    """Whether the manager waits for a device CA from its maker's EST server."""
    from leafward.manager.enrolment_slots import enrolled_device_ca
    from leafward.manager.settings import read_settings

    return read_settings(home.settings).enrolment is not None and enrolled_device_ca(home) is None


def _make_missing(home: Home, hostname: str, options: Options) -> None:
    """The maker's half, where this gateway has none. In a process of its own: the maker's keys end with it."""
    from leafward.authority.development import Names, make_development_chain
    from leafward.manager.last_start import refuse_lost_device_ca
    from leafward.manager.settings import read_settings

    settings = read_settings(home.settings)
    folder = home.manager / "device-ca"
    given = settings.device.device_ca_certificate is not None or settings.enrolment is not None
    if given or settings.device.production or (folder / "certificate.pem").exists():
        if options.names:
            options.warn("the names are for a new chain, and this home has one: they are not used")
        return
    refuse_lost_device_ca(home, folder / "certificate.pem")
    make_development_chain(home.maker, folder, Names(**options.names), hostname, now=system_clock())


def _show(home: Home, facts: dict[str, Any]) -> None:
    """The hierarchy as the hub presents it, and what to do next."""
    from leafward.cli.tree import draw_chain
    from leafward.doctor.probe import Target, presented_chain
    from leafward.pki.chain import Chain

    mqtts, https = facts["mqtts"], facts["https"]
    target = Target(https["host"], https["port"], facts["hostname"])
    # A question, so that the hub does not count us among those who could not connect.
    farewell = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    chain = Chain(presented_chain(target, farewell=farewell))
    voice.say(f"{facts['hostname']} is up: MQTT over TLS on port {mqtts['port']}, HTTPS on port {https['port']}")
    voice.say()
    for line in draw_chain(chain):
        voice.say(f"  {line}")
    voice.say()
    voice.say("To connect a device of your own, give it the root certificate and a connection string:")
    voice.say(f"  {facts['root']}")
    program = _program()
    voice.say(f"  {program} device add my-device --home {home.root}")
    voice.say(f"To see what arrives:  {program} messages --follow --home {home.root}")
    voice.say("Ctrl-C stops it.")


def _program() -> str:
    """What to type for this program: its name where the shell finds it by that, else the path it was called by."""
    called = sys.argv[0]
    is_path = Path(called).name == PROGRAM and Path(called).is_file()
    return called if is_path and shutil.which(PROGRAM) is None else PROGRAM


def _watch(supervisor: Supervisor, signals: Signals, demo: Demo | None) -> None:
    """Waits for a signal or for the end of a part; shows the demonstration's messages meanwhile."""
    while True:
        ended = signals.wait(supervisor.watch(), timeout=Demo.POLL_SECONDS if demo else None)
        if signals.told:
            return
        if ended is not None:
            raise supervisor.failure(ended)
        if demo:
            with contextlib.suppress(voice.ReaderGone):
                demo.show_new_messages()


@contextlib.contextmanager
def _hold(home: Home) -> Iterator[None]:
    """The home's lock; waits for what a killed `up` left, and for nobody else."""
    lock = HomeLock(home.lock)
    patience = time.monotonic() + LEFTOVERS_SECONDS
    while True:
        try:
            lock.acquire("up")
            break
        except Busy:
            if _holder_lives(home) or time.monotonic() > patience:
                raise
            time.sleep(0.02)
    try:
        yield
    finally:
        lock.release()


def _holder_lives(home: Home) -> bool:
    """Whether the process that took the lock is still there; its forked parts hold it after its death."""
    try:
        pid = int(json.loads(home.lock.read_text())["pid"])
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _refuse_one_port_for_both(options: Options) -> None:
    if options.https_port and options.https_port == options.mqtt_port:
        raise UsageError(f"port {options.https_port} cannot be both", hint="give --mqtt-port and --https-port apart")


def _reachable(bind: str) -> str:
    """An address of this machine that reaches a listener on `bind`."""
    return {ANYWHERE: "127.0.0.1", "::": "::1"}.get(bind, bind)

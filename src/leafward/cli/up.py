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
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leafward import disk
from leafward.cli import edge, parts, voice
from leafward.cli.demo import Demo
from leafward.cli.options import ANYWHERE, https_ports
from leafward.cli.service import system_clock
from leafward.cli.signals import Signals
from leafward.cli.supervisor import Supervisor
from leafward.errors import Busy
from leafward.store.home import Home
from leafward.store.lock import HomeLock

# A killed `up` leaves parts that are on their way out; they hold the lock until they are gone.
LEFTOVERS_SECONDS = 10.0


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

    @property
    def names(self) -> dict[str, str]:
        """The names given for a new development chain."""
        given = {"root": self.root_name, "intermediate": self.intermediate_name, "device_ca": self.device_ca_name}
        return {key: value for key, value in given.items() if value is not None}


def run(home: Home, options: Options) -> None:
    """Runs the edge of `home` until it is told to stop."""
    with _hold(home), Signals() as signals:
        home.ready.unlink(missing_ok=True)
        hostname = edge.keep_hostname(home, options.hostname)
        supervisor = Supervisor(log_level=options.log_level, orphaned=lambda: home.ready.unlink(missing_ok=True))
        try:
            facts, warnings = _start(supervisor, home, hostname, options)
            _show(home, facts, warnings)
            with Demo(home, facts) if options.demo else contextlib.nullcontext() as demo:
                _watch(supervisor, signals, demo)
        finally:
            home.ready.unlink(missing_ok=True)
            supervisor.stop()


def _start(supervisor: Supervisor, home: Home, hostname: str, options: Options) -> tuple[dict[str, Any], list[str]]:
    """Starts the parts. Returns what `run/ready.json` says, and what the manager warns of."""
    parts.load_libraries()
    supervisor.run_once("authority", lambda: _make_missing(home, hostname, options))
    supervisor.start("manager", parts.manager(home))
    supervisor.start("hub", parts.hub(home, options.bind, options.mqtt_port, https_ports(options.https_port)))
    supervisor.start("provisioning", parts.provisioning(home))
    warnings: list[str] = supervisor.wait_ready("manager")["warnings"]
    hub = supervisor.wait_ready("hub")
    supervisor.wait_ready("provisioning")
    host = _reachable(options.bind)
    facts = {
        "hostname": hostname,
        "mqtts": {"host": host, "port": hub["mqtt_port"]},
        "https": {"host": host, "port": hub["https_port"]},
        "workload_uri": f"unix://{home.workload_socket}",
        "management_uri": f"unix://{home.management_socket}",
        "root": str(home.root_certificate),
        "trust_bundle": str(home.trust_bundle),
        "pids": supervisor.pids,
    }
    disk.write_file(home.ready, json.dumps(facts).encode(), mode=disk.PUBLIC)
    return facts, warnings


def _make_missing(home: Home, hostname: str, options: Options) -> None:
    """The maker's half, where this gateway has none. In a process of its own: the maker's keys end with it."""
    from leafward.authority.development import Names, make_development_chain
    from leafward.manager.settings import read_settings

    settings = read_settings(home.settings)
    folder = home.manager / "device-ca"
    given = settings.device.device_ca_certificate is not None
    if given or settings.device.production or (folder / "certificate.pem").exists():
        if options.names:
            voice.warn("the names are for a new chain, and this home has one: they are not used")
        return
    make_development_chain(home.maker, folder, Names(**options.names), hostname, now=system_clock())


def _show(home: Home, facts: dict[str, Any], warnings: list[str]) -> None:
    """The hierarchy as the hub presents it, and what to do next."""
    from leafward.cli.tree import draw_chain
    from leafward.doctor.probe import Target, presented_chain
    from leafward.pki.chain import Chain

    mqtts, https = facts["mqtts"], facts["https"]
    chain = Chain(presented_chain(Target(mqtts["host"], mqtts["port"], facts["hostname"])))
    voice.say(f"{facts['hostname']} is up: MQTT over TLS on port {mqtts['port']}, HTTPS on port {https['port']}")
    voice.say()
    for line in draw_chain(chain):
        voice.say(f"  {line}")
    voice.say()
    for warning in warnings:
        voice.warn(warning)
    voice.say("To connect a device of your own, give it the root certificate and a connection string:")
    voice.say(f"  {facts['root']}")
    voice.say(f"  leafward device add my-device --home {home.root}")
    voice.say(f"To see what arrives:  leafward messages --follow --home {home.root}")
    voice.say("Ctrl-C stops it.")


def _watch(supervisor: Supervisor, signals: Signals, demo: Demo | None) -> None:
    """Waits for a signal or for the end of a part; shows the demonstration's messages meanwhile."""
    while True:
        ended = signals.wait(supervisor.watch(), timeout=Demo.POLL_SECONDS if demo else None)
        if signals.told:
            return
        if ended is not None:
            raise supervisor.failure(ended)
        if demo:
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


def _reachable(bind: str) -> str:
    """An address of this machine that reaches a listener on `bind`."""
    return {ANYWHERE: "127.0.0.1", "::": "::1"}.get(bind, bind)

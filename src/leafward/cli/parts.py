"""The parts as `leafward up` and the parts' own commands start them: the same functions, in a process of their own."""

import asyncio
import gc
import importlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from leafward.cli.health import Probe, answers
from leafward.cli.reload import reload_signal
from leafward.cli.service import Part, Ready, system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leafward.authority.est_settings import EstTable
    from leafward.authority.issuance import Issuance
    from leafward.authority.serve import ServeOptions, Serving
    from leafward.authority.serve_routes import Route
    from leafward.hub.daemon import HubAddresses
    from leafward.provisioning.listen_on import ListenOn

# What every part needs and no part changes: loaded once before the fork, so that three processes share the pages and
# nobody pays for the import three times. No key is in memory yet.
SHARED_LIBRARIES = (
    "leafward.manager.daemon",
    "leafward.hub.daemon",
    "leafward.provisioning.daemon",
    "leafward.authority.development",
)

# As long as the hub waits for a manager.
REGISTRY_SECONDS = 30.0
REGISTRY_LOOK_SECONDS = 0.05


def load_libraries() -> None:
    """Imports what the parts need."""
    for name in SHARED_LIBRARIES:
        importlib.import_module(name)


def manager(home: Home, config: Path | None = None) -> Part:
    """The security manager; `config` is another settings file than the home's own, or IoT Edge's."""

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.manager.daemon import run_manager

        def is_ready(warnings: list[str]) -> None:
            # What is there by now stays. Looking it over for garbage would stop the loop for some 40 ms each time.
            gc.freeze()
            ready({"warnings": warnings})

        settings = None
        if config is not None:
            from leafward.manager.settings_source import settings_to_run_with

            settings = settings_to_run_with(config.absolute())
        # With its own clock, which asks the kernel who sets it (docs/clock.md).
        await run_manager(
            home,
            stop=stop,
            ready=is_ready,
            settings=settings,
            reload=reload_signal(),
        )

    return run


def manager_probe(home: Home) -> Probe:
    """Asks the running manager for what it gives everybody."""
    from leafward.wire import workload_api
    from leafward.wire.api_version import LATEST

    return answers(home.workload_socket, f"{workload_api.TRUST_BUNDLE}?api-version={LATEST}")


def hub(home: Home, bind: str, mqtt_port: int, https_ports: list[int]) -> Part:
    """The hub."""

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.hub.daemon import run_hub

        def is_ready(found: "HubAddresses") -> None:
            # As in the manager: garbage is looked for among connections and messages, not among modules, whose pages
            # would each become this process's own at the first look.
            gc.freeze()
            amqp = {} if found.amqp_port is None else {"amqp_port": found.amqp_port}
            ready({"mqtt_port": found.mqtt_port, "https_port": found.https_port, **amqp})

        await run_hub(
            home,
            bind=bind,
            mqtt_port=mqtt_port,
            https_ports=https_ports,
            clock=system_clock,
            stop=stop,
            ready=is_ready,
        )

    return run


def provisioning(home: Home, listen: "ListenOn | None" = None) -> Part:
    """The provisioning service, behind the hub's ports; with `listen` on ports of its own too."""

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.provisioning.daemon import run_provisioning

        def told(found: "ListenOn | None") -> None:
            ports = {} if found is None else {"mqtt_port": found.mqtt_port, "https_port": found.https_port}
            ready(ports)

        await _wait_for_registry(home, stop)
        # Only one that listens itself has files to read anew.
        reload = reload_signal() if listen is not None else None
        await run_provisioning(home, clock=system_clock, stop=stop, ready=told, listen=listen, reload=reload)

    return run


async def _wait_for_registry(home: Home, stop: asyncio.Event) -> None:
    """Where the registry is another user's (`manager/hub_user.py`), waits a while until its manager has it open.

    Only that user may make the files that SQLite keeps beside it, and they are there as long as somebody has it open.
    """
    wal = home.registry.with_name(f"{home.registry.name}-wal")
    deadline = time.monotonic() + REGISTRY_SECONDS
    while _is_anothers(home.registry) and not wal.exists() and not stop.is_set() and time.monotonic() < deadline:
        await asyncio.sleep(REGISTRY_LOOK_SECONDS)


def _is_anothers(path: Path) -> bool:
    try:
        return path.stat().st_uid != os.geteuid()
    except OSError:
        return False


def provisioning_probe(home: Home) -> Probe:
    """Asks the running provisioning service whether it is well."""
    return answers(home.provisioning_socket, "/health")


def authority(
    issuance: "Issuance", settings: "EstTable", options: "ServeOptions", published: "Sequence[Route]" = ()
) -> Part:
    """The authority's server; revocation, and what else is `published`, is served over plain HTTP."""

    def facts(serving: "Serving") -> dict[str, object]:
        host = str(options.hosts[0])
        base = f"[{host}]" if ":" in host else host
        return {
            "host": host,
            "bind": options.bind,
            "port": serving.port,
            "url": f"https://{base}:{serving.port}/.well-known/est",
            "http_port": serving.http_port,
            "http_url": None if serving.http_port is None else f"http://{base}:{serving.http_port}/",
            "labels": list(serving.labels),
            "default_label": serving.default_label,
            "certificate_until": f"{serving.certificate_until:%Y-%m-%dT%H:%M:%SZ}",
        }

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.authority.revocation_service import RevocationService
        from leafward.authority.serve import run_authority

        async with RevocationService(issuance, system_clock) as revocation:
            await run_authority(
                issuance,
                settings,
                options,
                clock=system_clock,
                stop=stop,
                ready=lambda serving: ready(facts(serving)),
                published=[*revocation.routes(), *published],
            )

    return run

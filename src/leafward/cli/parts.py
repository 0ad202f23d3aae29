"""The parts as `leafward up` and the parts' own commands start them: the same functions, in a process of their own."""

import asyncio
import importlib
from typing import TYPE_CHECKING

from leafward.cli.service import Part, Ready, system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.web import RouteDef

    from leafward.authority.est_settings import EstTable
    from leafward.authority.issuance import Issuance
    from leafward.authority.serve import ServeOptions, Serving

# What every part needs and no part changes: loaded once before the fork, so that three processes share the pages and
# nobody pays for the import three times. No key is in memory yet.
SHARED_LIBRARIES = (
    "leafward.manager.daemon",
    "leafward.hub.daemon",
    "leafward.provisioning.daemon",
    "leafward.authority.development",
)


def load_libraries() -> None:
    """Imports what the parts need."""
    for name in SHARED_LIBRARIES:
        importlib.import_module(name)


def manager(home: Home) -> Part:
    """The security manager."""

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.manager.daemon import run_manager

        await run_manager(home, clock=system_clock, stop=stop, ready=lambda warnings: ready({"warnings": warnings}))

    return run


def hub(home: Home, bind: str, mqtt_port: int, https_ports: list[int]) -> Part:
    """The hub."""

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.hub.daemon import run_hub

        await run_hub(
            home,
            bind=bind,
            mqtt_port=mqtt_port,
            https_ports=https_ports,
            clock=system_clock,
            stop=stop,
            ready=lambda found: ready({"mqtt_port": found.mqtt_port, "https_port": found.https_port}),
        )

    return run


def provisioning(home: Home) -> Part:
    """The provisioning service."""

    async def run(stop: asyncio.Event, ready: Ready) -> None:
        from leafward.provisioning.daemon import run_provisioning

        await run_provisioning(home, clock=system_clock, stop=stop, ready=lambda: ready({}))

    return run


def authority(
    issuance: "Issuance", settings: "EstTable", options: "ServeOptions", published: "Sequence[RouteDef]" = ()
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

"""Puts together what leads upstream, where `[hub.upstream]` is set, and says how it stands where it is not as well."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from leafward.hub.hub import Hub
from leafward.hub.service_api import ServiceRoute
from leafward.hub.settings import HubSettings
from leafward.hub.store_thread import StoreThread
from leafward.hub.upstream import Forwarder
from leafward.hub.upstream_api import UpstreamApi
from leafward.hub.upstream_credentials import Anchors, UpstreamCredentials
from leafward.hub.upstream_runner import Upstream
from leafward.store.messages import UPSTREAM, MessageStore


def queue_names(messages: MessageStore) -> list[str]:
    """The queues in which something waits since an earlier run."""
    return [queue.endpoint for queue in messages.queues()]


@contextlib.asynccontextmanager
async def upstream_part(
    hub: Hub, store: StoreThread, settings: HubSettings, folder: Path, anchors: Anchors
) -> AsyncIterator[Iterable[ServiceRoute]]:
    """Runs the connection upstream; gives the routes of the service API that tell of it.

    `folder` is the settings file's. At the end what is in flight has a little time for its acknowledgement.
    """
    table = settings.hub.upstream
    store.messages.room.no_upstream = table is None
    if table is None:
        yield UpstreamApi(hub, store, None, None).routes()
        return
    credentials = UpstreamCredentials(table, folder, settings.device_id, anchors)
    waiting = await asyncio.to_thread(store.messages.queues, UPSTREAM)
    queues = [UPSTREAM, *(queue.endpoint for queue in waiting)]
    forwarder = Forwarder(store, queues, hub.metrics, attempts=table.attempts)
    upstream = Upstream(table, credentials, forwarder, hub.metrics, hub.clock, patience=hub.limits.shutdown_timeout)
    running = asyncio.create_task(upstream.run())
    try:
        yield UpstreamApi(hub, store, upstream, forwarder).routes()
    finally:
        await upstream.close()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

"""`[connect]` and `[listen]`: where the Workload and Management API are reached, and where they listen."""

from leafward.wire.iotedge_config.locations import api_uri
from leafward.wire.iotedge_config.table import Table
from leafward.wire.iotedge_config.values import ApiUri, ApiUris, Located

CONNECT = ("unix", "http")
LISTEN = ("unix", "fd", "http")


def api_uris(table: Table | None, schemes: tuple[str, ...]) -> ApiUris:
    """The two addresses; they belong together. `schemes` are those that the table may name."""
    if table is None:
        return ApiUris()
    with table:
        if table.key == "listen":
            table.ignored(("min_tls_version",), "the APIs are served on local sockets, without TLS")
        return ApiUris(_uri(table, "workload_uri", schemes), _uri(table, "management_uri", schemes))


def _uri(table: Table, name: str, schemes: tuple[str, ...]) -> Located[ApiUri] | None:
    return table.parsed(name, lambda text: api_uri(text, schemes), required=True, show=False)

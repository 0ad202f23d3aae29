"""What a configuration says of containers. leafward starts none, so it is checked, noted and passed over.

It stays in `IotEdgeConfig.document` for whoever can use it.
"""

from leafward.wire.iotedge_config.table import Table

_NO_CONTAINERS = "leafward starts no containers: run the modules themselves, with leafward module run"


def agent(root: Table) -> None:
    """`[agent]`: the module that starts the others."""
    table = root.table("agent")
    if table is None:
        return
    root.note("agent", _NO_CONTAINERS)
    with table:
        table.text("name")
        table.text("type")
        table.text("imagePullPolicy")
        table.free("env")
        config = table.table("config")
        if config is not None:
            with config:
                config.text("image")
                config.known("imageHash", "digest", "allowElevatedDockerPermissions")
                config.free("auth")
                _create_options(config)


def _create_options(config: Table) -> None:
    # 1.0 and 1.1 took a text of JSON as well.
    if config.is_table("createOptions") or not config.findings.lenient:
        config.free("createOptions")
    else:
        config.text("createOptions", show=False)


def moby_runtime(root: Table) -> None:
    """`[moby_runtime]`: the container runtime and its network."""
    table = root.table("moby_runtime")
    if table is None:
        return
    root.note("moby_runtime", _NO_CONTAINERS)
    with table:
        table.text("uri")
        if table.is_table("network"):
            _network(table)
        else:
            table.text("network")
        trust = table.table("content_trust")
        if trust is not None:
            with trust:
                trust.texts("ca_certs")


def _network(table: Table) -> None:
    network = table.table("network")
    assert network is not None
    with network:
        network.text("name", required=True)
        network.boolean("ipv6")
        ipam = network.table("ipam")
        if ipam is not None:
            with ipam:
                for range_ in ipam.tables("config"):
                    with range_:
                        for name in ("gateway", "subnet", "ip_range"):
                            range_.text(name)


def watchdog(root: Table) -> None:
    """`[watchdog]`: how often the agent is started again."""
    table = root.table("watchdog")
    if table is None:
        return
    root.note("watchdog", _NO_CONTAINERS)
    with table:
        if table.is_text("max_retries"):
            table.parsed("max_retries", _retries)
        else:
            table.number("max_retries")


def _retries(text: str) -> str:
    if text.lower() != "infinite":
        raise ValueError("expected 'infinite' or a whole number")
    return text


def image_garbage_collection(root: Table) -> None:
    """`[image_garbage_collection]`."""
    table = root.table("image_garbage_collection")
    if table is None:
        return
    root.note("image_garbage_collection", _NO_CONTAINERS)
    with table:
        table.boolean("enabled")
        for name in ("cleanup_recurrence", "image_age_cleanup_threshold", "cleanup_time"):
            table.text(name)


def elevated_permissions(root: Table) -> None:
    """`allow_elevated_docker_permissions`."""
    if root.boolean("allow_elevated_docker_permissions") is not None:
        root.note("allow_elevated_docker_permissions", _NO_CONTAINERS)

"""Where the metrics are served: a setting, judged when it is read."""

import contextlib
import ipaddress

LOOPBACK = "127.0.0.1"


def parse_metrics_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:9601`, `[::1]:9601`, or a port alone, which is on the loopback address. Raises `ValueError`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else LOOPBACK
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1
    with contextlib.suppress(ValueError):
        if 0 <= number <= 65535:
            return str(ipaddress.ip_address(host)), number
    raise ValueError(f"got {text[:100]!r}, which is no address and port, expected one as {LOOPBACK}:9601")

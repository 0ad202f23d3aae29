"""What leaf devices and modules connect to: it presents the chain, lets in who may, keeps and routes their messages.

Outside reach is `daemon.run_hub`. A connection is bytes and timers (`mqtt_connection`), then meaning (`conversation`),
then shared state (`broker`, `sessions`, `telemetry`), then the disk, in one thread (`store_thread`).
"""

"""AMQP 1.0 on port 5671: what services and devices speak who do not speak MQTT. Needs the extra `amqp`.

    TLS -> connection (bytes, timers) -> engine (Qpid Proton, no I/O of its own) -> a room for each link
                 `-> SASL                                        `-> attachments: may this link be?

Everything below the links is the hub's own: the authenticators, the broker with its sessions, the message store.
Nothing here is imported where Qpid Proton is not installed, but `settings` and `door`.
"""

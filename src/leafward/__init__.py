"""leafward: identities for edge gateways and the devices behind them.

Trust flows from the root leafward: root CA -> intermediate CAs -> device CA -> workload CA -> hub server certificate.
`docs/architecture.md` is the map of the house; each folder is a wing, each file a room.
"""

__version__ = "0.1.0"
# Not before this day: a release moves it on. A clock that is behind it is wrong (`docs/clock.md`), so it must never be
# later than the day on which the release is made.
__built__ = "2026-01-01"

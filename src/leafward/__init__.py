"""leafward: identities for edge gateways and the devices behind them.

Trust flows from the root leafward: root CA -> intermediate CAs -> device CA -> workload CA -> hub server certificate.
`docs/architecture.md` is the map of the house; each folder is a wing, each file a room.
"""

__version__ = "0.1.0"

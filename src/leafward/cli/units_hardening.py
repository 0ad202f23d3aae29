"""What systemd takes away from the parts. A table, with the reason where a line is not like the others.

`systemd-analyze security` counts what is left; a test holds the figure. What the parts need at run time was traced:
file access, sockets, threads, nothing of the kernel's administration.
"""

from types import MappingProxyType

# The only capability that any part ever has: the hub's, for a port below 1024.
CAPABILITIES = "CAP_NET_BIND_SERVICE"
LOWEST_FREE_PORT = 1024

EVERY_PART: tuple[tuple[str, str], ...] = (
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProcSubset", "pid"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("RemoveIPC", "yes"),
    ("KeyringMode", "private"),
    ("SystemCallArchitectures", "native"),
    # Refused calls answer EPERM: a library that tries and goes on is not killed for it.
    ("SystemCallErrorNumber", "EPERM"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
)

OF_PART = MappingProxyType(
    {
        # It reads /proc of every caller to know which module that is, whatever user runs it: no ProtectProc, and no
        # user namespace of its own, in which every other user would look alike. The network is for EST and metrics.
        "manager": (("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),),
        # It raises its own limit of open files at start (prlimit is of @resources; LimitNOFILE has done it before).
        "hub": (
            ("ProtectProc", "invisible"),
            ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ),
        # One unix socket in the home: it needs no network at all, and no TLS, whose callbacks from OpenSSL into Python
        # are made in memory that is written and then run: manager and hub end at their start where that is denied.
        "provisioning": (
            ("MemoryDenyWriteExecute", "yes"),
            ("ProtectProc", "invisible"),
            ("PrivateNetwork", "yes"),
            ("IPAddressDeny", "any"),
            ("RestrictAddressFamilies", "AF_UNIX"),
        ),
    }
)

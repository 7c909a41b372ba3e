"""The service unit of an intake for systemd: what the process cannot do to itself, its service manager does.

Each line is there for a reason that stands beside it. `systemd-analyze security inspectorate-intake` names what is left open.
"""

from __future__ import annotations

from pathlib import Path

from inspectorate.errors import InputError

UNIT_NAME = "inspectorate-intake.service"

_UNIT = """\
[Unit]
Description=Inspectorate intake {intake}
After=local-fs.target network.target
# Nothing of it goes to the journal: not what it prints, not when it prints.

[Service]
Type=exec
ExecStart={program} intake serve {folder}
Restart=always
RestartSec=2
User={user}
Group={user}
UMask=0077
StandardInput=null
StandardOutput=null
StandardError=null
# A stop lets reports that came in whole be answered: some ticks.
TimeoutStopSec=120

# Memory: out of swap, out of core dumps, out of reach of other processes.
MemorySwapMax=0
# systemd 253 and later; older ones ignore it.
MemoryZSwapMax=0
LimitMEMLOCK=infinity
LimitCORE=0
# Files: the store and nothing else can be written; temporary folders are empty memory, and unused.
ProtectSystem=strict
ReadWritePaths={folder}{log}
TemporaryFileSystem=/tmp:ro /var/tmp:ro
# The folder of its socket, which the group of this user enters: tor is in it.
RuntimeDirectory=inspectorate-intake
RuntimeDirectoryMode=0750
ProtectHome=true
PrivateDevices=true
ProtectProc=invisible
ProcSubset=pid
InaccessiblePaths=-/var/log -/run/log
# Network: a socket on this machine only, where tor finds it.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
IPAddressDeny=any
IPAddressAllow=localhost
# Kernel and privileges.
NoNewPrivileges=true
CapabilityBoundingSet=
AmbientCapabilities=
ProtectKernelTunables=true
ProtectKernelModules=true
ProtectKernelLogs=true
ProtectControlGroups=true
ProtectClock=true
ProtectHostname=true
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@debug @privileged @resources
SystemCallFilter=mlockall setrlimit prlimit64
KeyringMode=private
RemoveIPC=true

[Install]
WantedBy=multi-user.target
"""


def service_unit(
    intake: str, folder: Path, program: Path, *, user: str = "inspectorate", log: Path | None = None
) -> str:
    """The text of a unit. Raises `InputError` on a path that a unit cannot carry."""
    paths = [folder, program, *([log] if log else [])]
    for path in paths:
        if not path.is_absolute() or any(one.isspace() or one in "%\"'\\$" for one in str(path)):
            raise InputError("must be absolute, without spaces, quotes, % and $", where=str(path))
    return _UNIT.format(
        intake=intake, folder=folder, program=program, user=user, log=f" {log}" if log else ""
    )  # fmt: skip

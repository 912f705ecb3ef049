"""A PostgreSQL and a Redis of the soak's own, which it may break."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
DEBIAN = Path("/usr/lib/postgresql")


def missing() -> str:
    """Which program is not there, if one isn't."""
    if postgresql_programs() is None:
        return "PostgreSQL's initdb is not installed"
    return "" if shutil.which("redis-server") else "redis-server is not installed"


def postgresql_programs() -> Path | None:
    """Where initdb, pg_ctl and postgres are: Debian keeps them out of PATH, by version."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def unprivileged() -> dict[str, Any]:
    """Options for a subprocess: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class OwnPostgresql:
    """A cluster in a directory; it writes through to the disk as in production."""

    def __init__(self, directory: Path, port: int) -> None:
        self.programs = postgresql_programs()
        self.data = directory / "postgresql"
        self.options = unprivileged()
        self.url = f"postgresql://postgres@{HOST}:{port}/postgres"
        self.command = [
            *(str(self.programs / "postgres"), "-D", str(self.data), "-p", str(port)),
            *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
            *("-c", "fsync=on", "-c", "synchronous_commit=on"),
        ]

    def create(self) -> None:
        self.data.mkdir(mode=0o700)
        if self.options:
            os.chown(self.data, self.options["user"], self.options["group"])
        # What was lost before the first start would not matter.
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        if self._run("initdb", *options, "--locale=C", "--no-instructions"):
            raise RuntimeError("initdb failed")

    def stop_immediately(self) -> None:
        """Without a checkpoint: the next start recovers from the log."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-s")

    def _run(self, program: str, *arguments: str) -> int:
        command = [str(self.programs / program), "-D", str(self.data), *arguments]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.run(command, cwd="/", timeout=60, **silent, **self.options).returncode


class OwnRedis:
    """Keeps nothing: a restart begins with an empty one."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"redis://{HOST}:{port}/0"
        self.command = [
            *("redis-server", "--bind", HOST, "--port", str(port), "--dir", str(directory)),
            *("--save", "", "--appendonly", "no"),
        ]

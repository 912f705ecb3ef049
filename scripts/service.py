"""Preparing the site and running its processes side by side; shared by `demo` and `run`."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import honcho.manager
from honcho.manager import Manager

ROOT = Path(__file__).resolve().parent.parent

MIGRATE = "migrate --verbosity 0"
COLLECT = "collectstatic --noinput --verbosity 0"
EMBEDDED_WORKER = [sys.executable, "manage.py", "embedded_worker"]
# A thread: one process then owns all of its calls in flight, and every slice finds them. Just one:
# a second would take slices away from other processes while it has nothing to do with them.
CELERY_WORKER = [
    *(sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker"),
    *("--pool", "threads", "--concurrency", "1", "--loglevel", "WARNING", "--without-gossip"),
]
CELERY_BEAT = [
    *(sys.executable, "-m", "celery", "--quiet", "-A", "config", "beat"),
    *("--scheduler", "config.celery:TickScheduler", "--loglevel", "WARNING", "--pidfile", ""),
]


# Listens where BIND and PORT say: see gunicorn.conf.py.
WEB = [
    *(sys.executable, "-m", "gunicorn", "config.wsgi"),
    *("--workers", "2", "--threads", "4", "--log-level", "warning", "--no-control-socket"),
]


def web(host: str, port: int) -> list[str]:
    """Listening there, whatever the environment says."""
    return [*WEB, "--bind", f"{host}:{port}"]


def manage(environment: Mapping[str, str], *arguments: str) -> None:
    manage_all(environment, shlex.join(arguments))


def manage_all(environment: Mapping[str, str], *commands: str) -> None:
    """In order, until one fails; that ends this process too."""
    command = [sys.executable, "-m", "scripts.commands", *commands]
    result = subprocess.run(command, cwd=ROOT, env=environment)
    if result.returncode:
        sys.exit(result.returncode)


def prepare(environment: Mapping[str, str], *further: str) -> None:
    """The database and the assets; then further management commands."""
    manage_all(environment, MIGRATE, COLLECT, *further)


def collect_assets(environment: Mapping[str, str]) -> None:
    manage_all(environment, COLLECT)


def serve(processes: Mapping[str, list[str]], environment: Mapping[str, str]) -> int:
    """Runs until Ctrl-C or TERM, or until one of the processes ends; then stops them all."""
    # A worker that is told to stop saves what is under way first.
    honcho.manager.KILL_WAIT = 20
    # A closed terminal stops them too.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    manager = Manager()
    for name, command in processes.items():
        manager.add_process(name, f"exec {shlex.join(command)}", env=environment, cwd=str(ROOT))
    manager.loop()
    told_to_stop = manager.returncode in {0, 130, 143}
    return 0 if told_to_stop else 1


def require_free(host: str, port: str) -> int:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except (OSError, ValueError, OverflowError) as error:
        remedy = (
            "Set PORT to a free one, such as PORT=3002, and BIND to an address of this machine."
        )
        sys.exit(f"PORT={port} can't be used on {host} ({error}). {remedy}")
    return int(port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

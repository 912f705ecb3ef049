"""`python -m emulator --port 8090`: serve until interrupted."""

from __future__ import annotations

import argparse
import errno
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from emulator.app import create_app
from emulator.profiles import PROFILES
from emulator.state import State
from emulator.transport import ClosableProtocol


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emulator",
        description="Serves OpenAI's Responses and Assistants protocols from memory.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8090, help="0: any free one; %(default)s")
    parser.add_argument(
        "--latency",
        type=float,
        default=0.8,
        metavar="SECONDS",
        help="from a run's creation to its end; default: %(default)s",
    )
    parser.add_argument("--profile", choices=sorted(PROFILES), default="openai")
    return parser.parse_args(arguments)


def serve(state: State, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(state),
        loop="uvloop",
        http=ClosableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def main() -> int:
    arguments = parse_arguments()
    try:
        listener = socket.create_server((arguments.host, arguments.port), backlog=2048)
    except OSError as error:
        reason = "in use" if error.errno == errno.EADDRINUSE else error.strerror
        print(f"Cannot listen on {arguments.host}:{arguments.port}: {reason}.", file=sys.stderr)
        return 1
    # uvicorn raises a signal again after its shutdown: make that a clean exit.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    host, port = listener.getsockname()[:2]
    note = f"profile {arguments.profile}, latency {arguments.latency:g} s"
    print(f"Emulator ready at http://{host}:{port}/v1 ({note})", flush=True)
    try:
        serve(State(PROFILES[arguments.profile], arguments.latency), listener)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

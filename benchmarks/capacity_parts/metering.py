"""What a measurement costs: CPU by who uses it, and memory."""

from dataclasses import dataclass

import psycopg
import redis

from benchmarks.capacity_parts import processes
from benchmarks.capacity_parts.contenders import Site
from tests import services


@dataclass(frozen=True)
class Usage:
    """CPU seconds during the window, by who used them; memory of the contender at its end.

    `others`: what the machine did beside the benchmark.
    """

    seconds: dict[str, float]
    memory: processes.Memory


class Meter:
    """Reads who used how much CPU since it was made."""

    def __init__(self, site: Site, driver: int) -> None:
        self.site = site
        self.families = {
            "system": site.pids,
            "emulator": [site.emulator.process.pid],
            "driver": [driver],
            "PostgreSQL": postgresql(),
            "Redis": redis_server(),
        }
        self.before = processes.snapshot()
        self.busy_before = processes.busy_seconds()

    def read(self) -> Usage:
        after = processes.snapshot()
        busy = processes.busy_seconds() - self.busy_before
        seconds = {
            name: processes.cpu_seconds(roots, after) - processes.cpu_seconds(roots, self.before)
            for name, roots in self.families.items()
        }
        others = max(0.0, busy - sum(seconds.values()))
        return Usage(seconds | {"others": others}, processes.memory(self.site.pids))


def postgresql() -> list[int]:
    """The server; its processes are its children. Empty where it is not one of this machine's."""
    with psycopg.connect(services.DATABASE_URL) as connection:
        backend = connection.info.backend_pid
        return [processes.snapshot()[pid].parent for pid in processes.named("postgres", backend)]


def redis_server() -> list[int]:
    with redis.Redis.from_url(services.BROKER_URL) as broker:
        return processes.named("redis-server", broker.info("server")["process_id"])

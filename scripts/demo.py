"""`make demo`: the whole product on one machine, without a key, a service or a default password.

All state is under var/; the assistant is the emulator.
"""

import os
import sys

from scripts.service import (
    EMBEDDED_WORKER,
    ROOT,
    free_port,
    prepare,
    require_free,
    serve,
    web,
)

HOST = "127.0.0.1"


def main() -> int:
    port = require_free(HOST, os.environ.get("PORT") or "3001")
    emulator_port = free_port()
    environment = demo_environment(port, emulator_port)
    prepare(environment, "seed_knowledge", "create_demo_users")
    print(f"\nSitrep demo: http://{HOST}:{port}\n\nCtrl-C stops it.\n", flush=True)
    emulator = ["-m", "emulator", "--port", str(emulator_port), "--latency", "3"]
    processes = {
        "web": web(HOST, port),
        "worker": EMBEDDED_WORKER,
        "emulator": [sys.executable, *emulator],
    }
    return serve(processes, environment)


def demo_environment(port: int, emulator_port: int) -> dict[str, str]:
    """The demo's own settings win over a .env: it must not spend anybody's money."""
    protocol = os.environ.get("OPENAI_PROTOCOL") or "responses"
    return dict(os.environ) | {
        "APP_ENV": "development",
        "DEBUG": "false",
        "PORT": str(port),
        "FRONTEND_URL": f"http://{HOST}:{port}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DATABASE_URL": f"sqlite:///{ROOT / 'var' / 'demo.sqlite3'}",
        "CELERY_BROKER_URL": "memory://",
        "OPENAI_API_KEY": "sk-demo",
        "OPENAI_BASE_URL": f"http://{HOST}:{emulator_port}/v1",
        "OPENAI_PROTOCOL": protocol,
        "OPENAI_ASSISTANT_ID": "asst_demo" if protocol == "assistants" else "",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


if __name__ == "__main__":
    sys.exit(main())

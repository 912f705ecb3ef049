"""`make run`: the one-machine service, on what .env says."""

import os
import sys

from config.env import load_or_exit
from config.env_values import is_loopback
from scripts.service import (
    CELERY_BEAT,
    CELERY_WORKER,
    EMBEDDED_WORKER,
    ROOT,
    prepare,
    require_free,
    serve,
    web,
)


def main() -> int:
    env = load_or_exit(ROOT)
    # Only a site that others reach listens beyond this machine.
    host = "127.0.0.1" if is_loopback(env.frontend_url) else "0.0.0.0"  # noqa: S104
    port = require_free(host, str(env.port))
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    prepare(environment)
    print(f"\nSitrep: {env.frontend_url}\n", flush=True)
    processes = {"web": web(host, port)}
    if env.celery_broker_url.startswith("memory:"):
        processes["worker"] = EMBEDDED_WORKER
    else:
        processes |= {"worker": CELERY_WORKER, "beat": CELERY_BEAT}
    return serve(processes, environment)


if __name__ == "__main__":
    sys.exit(main())

"""`make run`: the one-machine service, on what .env says."""

import os
import sys

from config.env import load_or_exit
from scripts.service import (
    CELERY_BEAT,
    CELERY_WORKER,
    EMBEDDED_WORKER,
    ROOT,
    WEB,
    prepare,
    require_free,
    serve,
)


def main() -> int:
    env = load_or_exit(ROOT)
    require_free(env.bind, str(env.port))
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    prepare(environment)
    print(f"\nSitrep: {env.frontend_url}\n", flush=True)
    processes = {"web": WEB}
    if env.celery_broker_url.startswith("memory:"):
        processes["worker"] = EMBEDDED_WORKER
    else:
        processes |= {"worker": CELERY_WORKER, "beat": CELERY_BEAT}
    return serve(processes, environment)


if __name__ == "__main__":
    sys.exit(main())

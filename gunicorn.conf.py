"""What gunicorn reads by itself where it is started: its lines look like the product's own."""

from pathlib import Path

from config.env import load_or_exit
from config.logs import logging_config

# Before any worker: a bad environment is told once.
_env = load_or_exit(Path(__file__).resolve().parent)

bind = _env.listen_on
logconfig_dict = logging_config(_env.log_level, for_machines=_env.is_production)

# Whether a proxy is believed is decided in one place: TRUST_PROXY. By itself gunicorn would believe
# whoever speaks from this machine, about the scheme and even about the path.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

"""What to try, as the command line says it."""

import argparse

DATABASES = ("sqlite", "postgresql")
PROTOCOLS = ("responses", "assistants")


def parse_options(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crashpoints", description=description)
    parser.add_argument("--database", choices=DATABASES, help="default: both")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="default: both")
    parser.add_argument("--life", help="see lives.py; default: all")
    parser.add_argument("--only", default="", metavar="TEXT", help="kills with this in their name")
    parser.add_argument("--every", type=int, metavar="N", help="each Nth kill of a life")
    parser.add_argument("--lanes", type=int, default=8, metavar="N", help="lives at a time")
    parser.add_argument("--seed", type=int, default=1, help="of the retries' jitter")
    parser.add_argument("--list", action="store_true", help="name the boundaries as well")
    parser.add_argument("--broken", metavar="RULE", help="break a rule, see breakages.py")
    return parser.parse_args()

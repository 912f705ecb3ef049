"""`python -m scripts.commands "migrate --verbosity 0" seed_knowledge`: in order, until one fails.

In one process, since to start it takes longer than most commands do.
"""

import os
import shlex
import sys

from django.core.management import execute_from_command_line


def main(lines: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    for line in lines:
        execute_from_command_line(["manage.py", *shlex.split(line)])


if __name__ == "__main__":
    main(sys.argv[1:])

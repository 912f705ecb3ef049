"""Several management commands in one process."""

import os
import subprocess
import sys

import django
import pytest

from scripts import service


@pytest.mark.parametrize(
    ("commands", "code", "versions"),
    [(["version", "version --no-color"], 0, 2), (["version", "unheard-of", "version"], 1, 1)],
    ids=["all", "until-one-fails"],
)
def test_commands_run_in_order_until_one_fails(
    commands: list[str], code: int, versions: int
) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "scripts.commands", *commands],
        cwd=service.ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == code
    assert process.stdout.split() == [django.get_version()] * versions

import os
import subprocess
import sys

from scripts.service import ROOT
from tests import services


def test_a_web_process_starts_without_the_openai_sdk() -> None:
    """It costs each process half a second and 30 MB, and most never call a provider."""
    code = "import sys, config.wsgi; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | services.environment() | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "'simulations'" in loaded
    assert "'openai'" not in loaded

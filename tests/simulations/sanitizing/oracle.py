"""Asks `oracle.mjs`, under node, what the answers to many texts are."""

import json
import shutil
import subprocess
from pathlib import Path

NODE = shutil.which("node")
PROGRAM = Path(__file__).with_name("oracle.mjs")


def ask(texts: list[str], without: str = "") -> list[str]:
    """`without`: a phrase that is not to be taken out."""
    # Escaped, as no encoding of its own has room for half a surrogate pair.
    asked = json.dumps({"texts": texts, "without": without}).encode()
    done = subprocess.run([NODE, str(PROGRAM)], input=asked, capture_output=True, check=True)
    return json.loads(done.stdout)


def joined(text: str) -> str:
    """Two halves side by side are one character to JSON, and two to a Python string."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

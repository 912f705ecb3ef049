"""`make audit`: asks the registry for known vulnerabilities of what is pinned.

It runs where pip-audit is installed, and needs nothing else. Where nobody answers, it says so.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PINNED = Path(__file__).resolve().parent.parent / "constraints.txt"
SECONDS = 120
COMMAND = [
    *(sys.executable, "-m", "pip_audit", "--requirement", str(PINNED), "--no-deps"),
    *("--disable-pip", "--format", "json", "--desc", "off", "--progress-spinner", "off"),
]


def main() -> int:
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print(f"Not audited: no answer within {SECONDS} s.")
        return 0
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print("Not audited:", done.stderr.strip().rpartition("\n")[2])
        return 0
    for line in lines_of(dependencies):
        print(line)
    return int(any(dependency.get("vulns") for dependency in dependencies))


def lines_of(dependencies: list[dict[str, Any]]) -> Iterator[str]:
    """pip-audit itself says "no known vulnerabilities" of packages that it could not ask about."""
    known = [dependency for dependency in dependencies if "vulns" in dependency]
    if not known:
        yield "Not audited: the registry answers for none of the packages."
        return
    for dependency in known:
        for found in dependency["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version"
            yield f"{dependency['name']} {dependency['version']}: {found['id']}, fixed in {fixed}"
    number = sum(len(dependency["vulns"]) for dependency in known)
    yield f"{len(known)} of {len(dependencies)} packages audited: {number} known vulnerabilities."


if __name__ == "__main__":
    sys.exit(main())

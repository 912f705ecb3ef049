"""What the product's own code never does, read from its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ["accounts", "config", "knowledge", "simulations"]
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))

# Starts processes, makes objects or code out of bytes, or reads XML, which can name files.
DANGEROUS = {
    *("subprocess", "pty", "pickle", "marshal", "shelve", "dill", "jsonpickle", "code", "codeop"),
    *("xml", "lxml", "defusedxml", "ctypes", "smtplib", "ldap", "memcache", "pymemcache"),
}
CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "fork", "execv", "execvp"}
CALLS |= {"spawnv", "from_string", "Template"}


def sources() -> Iterator[tuple[str, ast.AST]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def called(tree: ast.AST) -> set[str]:
    """Names alone, and those of attributes but `re.compile`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name):
                    names.add(name)
                case ast.Attribute(attr=name) if name != "compile":
                    names.add(name)
    return names


def test_only_retention_and_erasing_reach_past_the_audit_logs_guard() -> None:
    users = {
        path
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "unguarded"
    }
    assert {str(Path(path).parent) for path in users} == {"simulations/privacy"}


def test_nothing_is_run_or_built_from_what_somebody_sent() -> None:
    found = {}
    for path, tree in sources():
        modules = {name.partition(".")[0] for name in imported(tree)}
        if names := (modules & DANGEROUS) | (called(tree) & CALLS):
            found[path] = names
    assert found == {}


def test_the_cache_holds_counters_and_nothing_of_anybodys() -> None:
    users = [
        path
        for path, tree in sources()
        if any(name.startswith("django.core.cache") for name in imported(tree))
    ]
    assert users == ["config/throttling.py"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_keep_nothing_and_run_nothing(script: Path) -> None:
    """Nor do they take messages from other windows, or make elements out of text."""
    text = script.read_text(encoding="utf-8")
    never = (
        r"\b(localStorage|sessionStorage|indexedDB|caches|document\.cookie|postMessage"
        r"|eval|Function|document\.write|insertAdjacentHTML|serviceWorker)\b"
        r"|addEventListener\(.message.|\b(inner|outer)HTML\s*="
    )
    assert re.findall(never, text) == []

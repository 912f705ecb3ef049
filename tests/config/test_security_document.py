"""docs/security.md: what it names is there, and no requirement is passed over."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

# How many requirements of levels 1 and 2 the sections of ASVS 5.0.0 have. They are the first ones
# of each; those of level 3 come behind them.
SECTIONS = """
1.1=2 1.2=9 1.3=11 1.4=3 1.5=2    2.1=3 2.2=3 2.3=4 2.4=1
3.1=0 3.2=2 3.3=4 3.4=6 3.5=5 3.6=0 3.7=2    4.1=3 4.2=1 4.3=2 4.4=4
5.1=1 5.2=3 5.3=2 5.4=3    6.1=3 6.2=12 6.3=4 6.4=4 6.5=5 6.6=3 6.7=0 6.8=4
7.1=3 7.2=4 7.3=2 7.4=5 7.5=2 7.6=2    8.1=2 8.2=3 8.3=1 8.4=1    9.1=3 9.2=4
10.1=2 10.2=2 10.3=4 10.4=11 10.5=5 10.6=2 10.7=3
11.1=2 11.2=3 11.3=3 11.4=4 11.5=1 11.6=1 11.7=0    12.1=3 12.2=2 12.3=4
13.1=1 13.2=5 13.3=2 13.4=5    14.1=2 14.2=4 14.3=3    15.1=3 15.2=3 15.3=7 15.4=0
16.1=1 16.2=5 16.3=4 16.4=3 16.5=3    17.1=1 17.2=4 17.3=2
"""
COUNTS = dict(section.split("=") for section in SECTIONS.split())
ALL = [f"{name}.{place}" for name, count in COUNTS.items() for place in range(1, int(count) + 1)]
# A requirement, or a group of them: 9.*, 4.3.*
NUMBER = re.compile(
    r"(?<![\w.#-])\d{1,2}(?:\.\d{1,2}){2}(?![\w.]*\d)|(?<![\w.])\d{1,2}(?:\.\d)?\.\\\*"
)


def named() -> list[str]:
    """In the order of the document: in rows, and in the lists of what is not in any."""
    _, _, text = DOCUMENT.partition("## Requirements and controls")
    return [number.replace("\\", "") for number in NUMBER.findall(text)]


def test_each_requirement_has_its_place_and_only_one() -> None:
    places = []
    for number in named():
        group = [one for one in ALL if one.startswith(number.rstrip("*"))]
        places += group if number.endswith("*") else [number]
    assert sorted(set(ALL) - set(places)) == [], "passed over"
    assert sorted(set(places) - set(ALL)) == [], "not of levels 1 and 2, or of no level"
    assert [number for number in ALL if places.count(number) > 1] == [], "named twice"


def test_every_row_says_what_shows_it() -> None:
    _, _, text = DOCUMENT.partition("## Requirements and controls")
    table, _, _ = text.partition("## Not met")
    rows = [line.split(" | ") for line in table.splitlines() if re.match(r"\| \d", line)]
    assert rows
    for *_, shown in rows:
        assert "`tests/" in shown or shown == "nothing to test |"


def test_every_test_and_file_that_it_names_exists() -> None:
    missing = []
    for name in set(re.findall(r"`([^`\s]+)`", DOCUMENT)):
        path, _, function = name.partition("::")
        if "/" not in path.strip("/") and not path.startswith(".") and not function:
            continue  # a setting, a value, a module of Python's
        if path.startswith("/"):
            continue  # an address of the site
        if not (ROOT / path).exists() or (function and function not in functions_of(path)):
            missing.append(name)
    assert missing == []


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_its_links_lead_somewhere() -> None:
    for text, target in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", DOCUMENT):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / "docs" / path).read_text(encoding="utf-8") if path else DOCUMENT
        headings = {slug(line.lstrip("# ")) for line in page.splitlines() if line.startswith("#")}
        assert not anchor or anchor in headings, text


def slug(heading: str) -> str:
    """As the address of a heading is made where the page is read."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

"""What documents link to is there, and what docs/curating.md says of files and limits is true."""

import re
from pathlib import Path

import pytest

from knowledge.context import ARTICLE_LIMIT, QUERY_LIMIT
from knowledge.exchange.files import MAX_BYTES, MAX_ROWS
from knowledge.grounding import MAX_ARTICLES
from knowledge.resources import ArticleResource, KeywordResource
from simulations.services import QueryTooLong

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_all_of_running_it_is_in_its_table_of_contents() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    contents, _, rest = text.partition("\n## ")
    headings = re.findall(r"^## (.+)$", f"## {rest}", re.MULTILINE)
    assert re.findall(r"\[([^]]+)\]\(#", contents) == headings


def test_the_api_s_document_names_the_limits_of_a_query() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert f"beyond {QUERY_LIMIT:,} characters it is cut off" in text
    assert f"more than {QueryTooLong.LIMIT:,} are refused" in text


def test_curating_names_the_columns_and_limits_of_the_code() -> None:
    text = (ROOT / "docs" / "curating.md").read_text(encoding="utf-8")
    _, _, files = text.partition("## Files")
    for resource in (ArticleResource(), KeywordResource()):
        for field in resource.get_import_fields():
            assert f"`{field.column_name}`" in files
    assert MAX_ARTICLES == 3
    assert "**three published articles**" in text
    assert f"first **{ARTICLE_LIMIT:,} characters**" in text
    assert f"first {QUERY_LIMIT:,} characters" in text
    assert f"{MAX_ROWS:,} articles, {MAX_ROWS:,} keywords and {MAX_BYTES // 1_000_000} MB" in files

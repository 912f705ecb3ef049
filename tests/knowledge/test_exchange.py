"""Articles and keywords leave as files and come back as they were, or not at all."""

import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from accounts.models import User
from knowledge.exchange import bundle, files, markdown
from knowledge.exchange.files import UnreadableFile
from knowledge.exchange.formats import CsvFormat, neutralise, restore
from knowledge.importing import import_collection
from knowledge.models import Article, Keyword, KeywordArticle
from knowledge.resources import ArticleResource, KeywordResource
from tests import services

pytestmark = pytest.mark.django_db

SEED = Path(markdown.__file__).parents[1] / "seed"
FRAGMENTS = ["\r\n", "\n", "\r", "---\n", "\n---\n", "---", " ", "\t", '"', "'", ",", ";", "=1+1"]
FRAGMENTS += [
    "+",
    "-",
    "@",
    "'=x",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x00b7",
    "é",
    "𝄞",
    "#",
    ": ",
    "yes",
]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=8)
    .map("".join)
    .map(lambda text: text.replace("\0", "")),
    st.text(CHARACTERS, min_size=1, max_size=40),
)
TAGS = st.lists(
    st.one_of(st.sampled_from(["a, b", " a ", "[", "'=", "null", "2026"]), st.text("aé,[\"' ")),
    max_size=4,
).map(lambda tags: [tag[:50] for tag in tags if tag.strip()])


def everything() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    return ArticleResource().export_rows(), KeywordResource().export_rows()


def run(*args: str, **options: object) -> str:
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def target(folder: Path, file_format: str) -> Path:
    return folder / ("all.json" if file_format == "json" else "all")


def wipe() -> None:
    Article.objects.all().delete()
    Keyword.objects.all().delete()


# What a format makes of a text, it makes without the database.
@pytest.mark.parametrize("file_format", ["json"] if services.ON_POSTGRESQL else bundle.FORMATS)
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
    suppress_health_check=list(HealthCheck),
)
@given(title=TEXTS, category=TEXTS, text=TEXTS, tags=TAGS, phrase=TEXTS)
@example(title="=1", category="@", text="-\r\n---\n", tags=["["], phrase="---\n\x85---")
def test_every_text_comes_back_as_it_was(
    tmp_path: Path,
    file_format: str,
    title: str,
    category: str,
    text: str,
    tags: list[str],
    phrase: str,
) -> None:
    wipe()
    first = Article(slug="a", title=title, category=category, text=text, tags=tags)
    second = Article(slug="b-2", title="B", category="C", text=f"{text}\n", status="published")
    for article in (first, second):
        article.full_clean()
        article.save()
    for position, name in enumerate([phrase.strip(), "second\n=phrase"]):
        if name:
            keyword = Keyword.objects.create(phrase=name, position=7 - position, whole_word=True)
            keyword.link_articles(["b-2", "a"])
    before = everything()
    path = target(tmp_path, file_format)
    bundle.write(path, file_format, *before)
    report = import_collection(bundle.read(path, file_format))
    assert (report.new, report.changed, report.problems) == ([], [], [])
    wipe()
    report = import_collection(bundle.read(path, file_format))
    assert report.problems == []
    assert everything() == before


@pytest.mark.parametrize("file_format", bundle.FORMATS)
def test_the_commands_move_everything(
    tmp_path: Path, articles: dict[str, Article], file_format: str
) -> None:
    path = str(target(tmp_path, file_format))
    before = everything()
    assert "3 articles and 3 keywords" in run("export_articles", path, format=file_format)
    wipe()
    assert "6 new, 0 changed, 0 unchanged" in run("import_articles", path)
    assert everything() == before
    assert "0 new, 0 changed, 6 unchanged" in run("import_articles", path)


def test_the_seed_is_a_folder_that_can_be_imported() -> None:
    assert "Added 20 articles and 86 keywords" in run("seed_knowledge")
    assert list(Keyword.objects.values_list("position", flat=True)) == list(range(1, 87))
    assert "0 new, 0 changed, 106 unchanged" in run("import_articles", str(SEED))
    Article.objects.filter(slug="srm-intro-001").update(title="Mine")
    Keyword.objects.get(phrase="SRM").delete()
    assert "Added 0 articles and 1 keywords" in run("seed_knowledge")
    assert Article.objects.get(slug="srm-intro-001").title == "Mine"


@pytest.fixture
def folder(tmp_path: Path, articles: dict[str, Article]) -> Path:
    """The three articles and keywords of the tests as a folder of Markdown."""
    run("export_articles", str(tmp_path / "kb"))
    return tmp_path / "kb"


Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(folder: Path) -> Edit:
    def replace(name: str, old: str, new: str) -> None:
        path = folder / name
        content = path.read_bytes().decode()
        assert old in content
        path.write_bytes(content.replace(old, new).encode())

    return replace


def test_a_dry_run_says_what_would_change_and_changes_nothing(folder: Path, edit: Edit) -> None:
    before = everything()
    edit("articles/alpha-001.md", "title: Title of alpha-001", "title: Another")
    edit("articles/alpha-001.md", "Guards check", "Guards look at")
    edit("keywords.yaml", "[gamma-001, beta-001]", "[beta-001, gamma-001]")
    (folder / "articles/new-001.md").write_text("---\ntitle: New\ncategory: C\n---\nText.\n")
    said = run("import_articles", str(folder), dry_run=True)
    assert said.splitlines() == [
        "new      article new-001",
        "changed  article alpha-001: title, text",
        "changed  keyword badge: articles",
        "1 new, 2 changed, 4 unchanged, 0 removed. Nothing was written: a dry run.",
    ]
    assert everything() == before
    run("import_articles", str(folder))
    assert Article.objects.get(slug="alpha-001").title == "Another"
    assert Keyword.objects.get(phrase="badge").article_slugs == ["beta-001", "gamma-001"]
    assert Article.objects.get(slug="new-001").status == "draft"


def test_what_is_not_given_is_left_as_it_is(folder: Path) -> None:
    (folder / "articles/alpha-001.md").write_text("---\ntitle: Another\n---\nText.\n")
    (folder / "keywords.yaml").write_text("- phrase: BADGE\n- phrase: new\n  articles: alpha-001\n")
    run("import_articles", str(folder))
    alpha = Article.objects.get(slug="alpha-001")
    assert (alpha.title, alpha.tags, alpha.status) == ("Another", ["one", "two"], "published")
    badge, new = Keyword.objects.get(phrase="BADGE"), Keyword.objects.get(phrase="new")
    assert (badge.position, badge.article_slugs) == (1, ["gamma-001", "beta-001"])
    assert (new.position, new.whole_word, new.article_slugs) == (4, False, ["alpha-001"])


def test_an_unchanged_article_is_not_saved(folder: Path, edit: Edit) -> None:
    before = dict(Article.objects.values_list("slug", "updated_at"))
    edit("articles/alpha-001.md", "Guards", "All guards")
    run("import_articles", str(folder))
    after = dict(Article.objects.values_list("slug", "updated_at"))
    assert [slug for slug in before if before[slug] != after[slug]] == ["alpha-001"]


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("articles/beta-001.md", "title: Title of", "title: ''\n#", "title: This field cannot be"),
        ("articles/beta-001.md", "Title of", "x" * 201, "title: Ensure this value has at most 200"),
        ("articles/beta-001.md", "published", "secret", "status: Use one of: draft, published"),
        ("articles/beta-001.md", "tags: [one, two]", "tags: [[one]]", "tags: Give a text."),
        ("articles/beta-001.md", "tags: [one, two]", 'tags: ["a\\nb"]', "tags: Give a list of"),
        ("articles/beta-001.md", "tags:", "author: me\ntags:", "Unknown column: author. Use:"),
        ("articles/beta-001.md", "Title of", '"\\0"\n#', "title: Remove the characters"),
        ("articles/beta-001.md", "title: Title", "title: [", "beta-001.md, line 2: Not YAML"),
        ("articles/beta-001.md", "title: Title", "title: a\ntitle:", "title is there twice"),
        ("articles/beta-001.md", "---\ntitle", "title", "Begin with a line ---"),
        ("articles/beta-001.md", "tags: [", "slug: x\ntags: [", "The slug is the file's name"),
        ("keywords.yaml", "[gamma-001, beta", "[nowhere, beta", "articles: There is no article no"),
        ("keywords.yaml", "[gamma-001, beta", "[beta-001, beta", "Name each article once: beta"),
        ("keywords.yaml", "position: 2", "position: 2.5", "position: Give a whole number"),
        ("keywords.yaml", "position: 2", "position: 4294967296", "position: Give a whole"),
        ("keywords.yaml", "whole_word: false", "whole_word: perhaps", "Use true or false"),
        ("keywords.yaml", "phrase: gate", "phrase: Badge", "keyword 2: phrase: It is in the file"),
        ("keywords.yaml", "phrase: gate", "phrase: '  '", "phrase: This field cannot be blank"),
        ("keywords.yaml", "- phrase: gate", "- &x {phrase: y}\n- *x\n- {}", "references are not"),
    ],
)
def test_one_error_and_nothing_is_written(
    folder: Path, edit: Edit, name: str, old: str, new: str, said: str
) -> None:
    before = everything()
    edit("articles/alpha-001.md", "Guards", "All guards")
    edit(name, old, new)
    with pytest.raises(CommandError) as refused:
        run("import_articles", str(folder))
    assert said in str(refused.value)
    assert everything() == before


def test_all_rows_with_errors_are_named(folder: Path, edit: Edit) -> None:
    edit("articles/alpha-001.md", "published", "secret")
    edit("articles/gamma-001.md", "category: Testing", "category: ''")
    with pytest.raises(CommandError) as refused:
        run("import_articles", str(folder))
    assert str(refused.value).splitlines() == [
        "articles/alpha-001.md: status: Use one of: " + ", ".join(Article.Status.values) + ".",
        "articles/gamma-001.md: category: This field cannot be blank.",
        "Nothing was imported.",
    ]


def test_a_bad_slug_is_refused(folder: Path) -> None:
    (folder / "articles/Alpha_1.md").write_text("---\ntitle: T\ncategory: C\n---\nText.")
    with pytest.raises(CommandError, match=r"Alpha_1\.md: slug: Use lower-case letters"):
        run("import_articles", str(folder))


def test_a_file_whose_newlines_were_changed_is_read_as_before(folder: Path) -> None:
    path = folder / "articles/alpha-001.md"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert "0 new, 0 changed" in run("import_articles", str(folder))


def test_nothing_outside_the_folder_is_read_or_written(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("---\ntitle: Secret\ncategory: C\n---\nSecret.\n")
    link = folder / "articles/link.md"
    link.symlink_to(secret)
    for command in ("import_articles", "export_articles"):
        with pytest.raises(CommandError, match="A symbolic link"):
            run(command, str(folder))
    link.unlink()
    (folder / "keywords.yaml").unlink()
    (folder / "keywords.yaml").symlink_to(secret)
    with pytest.raises(CommandError, match="A symbolic link"):
        run("import_articles", str(folder))
    (folder / "keywords.yaml").unlink()
    (folder / "articles").rename(tmp_path / "elsewhere")
    (folder / "articles").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CommandError, match="Not a folder"):
        run("import_articles", str(folder))
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(CommandError, match="Not a file"):
        run("import_articles", str(tmp_path / "pipe.json"))


def test_a_folder_holds_articles_only(folder: Path) -> None:
    (folder / "articles/notes.txt").write_text("x")
    with pytest.raises(CommandError, match=r"notes\.txt: Not an article"):
        run("import_articles", str(folder))


@pytest.mark.parametrize("name", ["all.zip", "all.json", "articles.csv"])
def test_an_archive_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04\xff\xfe" + bytes(100))
    with pytest.raises(CommandError, match=r"Not UTF-8|Give a \.json or \.csv"):
        run("import_articles", str(tmp_path / name))


def test_size_and_rows_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "MAX_BYTES", 600)
    with pytest.raises(CommandError, match=r"more than 20 MB to read\. Import it in parts"):
        run("import_articles", str(folder))
    monkeypatch.undo()
    monkeypatch.setattr(files, "MAX_ROWS", 2)
    with pytest.raises(CommandError, match=r"more than 2 rows\. Import them in parts"):
        run("import_articles", str(folder))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1]", "Give a list of objects"),
        (b"{", "Not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"article": []}', "Unknown name: article. Use: articles, keywords."),
        (b'[{"slug": "a"}, {"phrase": "b"}]', "Each article needs a slug"),
        (b'[{"slug": "a", "title": 5, "category": "C", "text": "T"}]', "item 1: title: Give a te"),
        (b'[{"slug": "a", "title": "\\ud800", "category": "C", "text": "T"}]', "title: Remove"),
        (b"\xff\xfe", "Not UTF-8"),
    ],
)
def test_wrong_json_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "all.json"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=said):
        run("import_articles", str(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("slug,title\na,b,c\n", "Row 2 has 3 cells, but there are 2 columns"),
        ("slug,slug\na,b\n", "Two columns have the same name"),
        ('slug,title\na,"b"c\n', "Not a CSV file: line 2"),
        ("slug,titel\na,b\n", "Unknown column: titel. Use: slug, title"),
        ("slug,title\na,b\n", "row 2: category: This field cannot be blank"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "articles.csv"
    path.write_text(content)
    with pytest.raises(CommandError, match=said):
        run("import_articles", str(path))


def test_a_table_with_semicolons_is_read(tmp_path: Path, articles: dict[str, Article]) -> None:
    path = tmp_path / "keywords.csv"
    path.write_text("phrase;position;whole_word;articles\ngate;;;beta-001, alpha-001\n")
    assert "changed  keyword gate: articles" in run("import_articles", str(path))
    assert Keyword.objects.get(phrase="gate").position == 2


@given(TEXTS)
def test_no_cell_of_a_table_is_a_formula(text: str) -> None:
    cell = neutralise(text)
    assert not cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert restore(cell) == text


def test_a_table_leaves_neutralised(articles: dict[str, Article]) -> None:
    Article.objects.filter(slug="alpha-001").update(title="=HYPERLINK(1)", text="@x\r\ny")
    content = CsvFormat().export_data(ArticleResource().export()).decode("utf-8-sig")
    assert "alpha-001,'=HYPERLINK(1),Testing" in content
    assert "'@x\r\ny" in content


def test_missing_keywords_are_deleted_only_when_asked(folder: Path, edit: Edit) -> None:
    (folder / "keywords.yaml").write_text("- phrase: Gate\n")
    run("import_articles", str(folder))
    assert Keyword.objects.count() == 3
    said = run("import_articles", str(folder), remove_missing=True)
    assert "removed  keyword badge" in said
    assert list(Keyword.objects.values_list("phrase", flat=True)) == ["Gate"]


def test_missing_articles_are_archived_only_when_asked(
    folder: Path, articles: dict[str, Article]
) -> None:
    (folder / "articles/alpha-001.md").unlink()
    run("import_articles", str(folder))
    assert Article.objects.get(slug="alpha-001").status == "published"
    assert "removed  article alpha-001" in run("import_articles", str(folder), remove_missing=True)
    assert Article.objects.get(slug="alpha-001").status == "archived"
    assert "0 removed." in run("import_articles", str(folder), remove_missing=True)


def test_revisions_name_who_imported_and_only_what_changed(
    folder: Path, edit: Edit, admin: User
) -> None:
    before = Article.revisions.count(), Keyword.revisions.count(), KeywordArticle.revisions.count()
    edit("articles/alpha-001.md", "Guards", "All guards")
    edit("keywords.yaml", "[gamma-001, beta-001]", "[beta-001]")
    run("import_articles", str(folder), user="admin")
    after = Article.revisions.count(), Keyword.revisions.count(), KeywordArticle.revisions.count()
    assert tuple(new - old for new, old in zip(after, before, strict=True)) == (1, 0, 2)
    assert Article.revisions.latest().slug == "alpha-001"
    assert Article.revisions.latest().history_user == admin
    assert {link.history_user for link in KeywordArticle.revisions.all()[:2]} == {admin}
    edit("articles/beta-001.md", "Guards", "All guards")
    run("import_articles", str(folder))
    assert Article.revisions.latest().history_user is None


def test_an_export_follows_what_is_no_longer_there(folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("Ours.")
    Article.objects.get(slug="alpha-001").delete()
    run("export_articles", str(folder))
    assert sorted(path.name for path in folder.rglob("*.md")) == [
        "README.md",
        "beta-001.md",
        "gamma-001.md",
    ]
    (tmp_path / "other/articles").mkdir(parents=True)
    (tmp_path / "other/articles/mine.md").write_text("Mine.")
    with pytest.raises(CommandError, match="Not an earlier export"):
        run("export_articles", str(tmp_path / "other"))
    assert (tmp_path / "other/articles/mine.md").exists()


def test_an_unknown_user_or_path_is_named(tmp_path: Path, folder: Path, admin: User) -> None:
    with pytest.raises(CommandError, match="There is no user nobody"):
        run("import_articles", str(folder), user="nobody")
    with pytest.raises(CommandError, match=r"Give a \.json or \.csv file"):
        run("import_articles", str(tmp_path / "nothing"))
    with pytest.raises(UnreadableFile, match="No such file"):
        bundle.read(tmp_path / "nothing.json", "json")

"""Import and export on the admin's pages: preview, confirmation, refusals."""

import re
import tempfile
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from knowledge.exchange import files
from knowledge.exchange.admin import UPLOAD_PREFIX
from knowledge.models import Article, Keyword

pytestmark = pytest.mark.django_db
ARTICLE, KEYWORD = "/admin/knowledge/article/", "/admin/knowledge/keyword/"


@pytest.fixture
def client(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture(autouse=True)
def _uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def upload(client: Client, page: str, content: bytes, name: str = "f.csv") -> str:
    file = SimpleUploadedFile(name, content)
    response = client.post(f"{page}import/", {"import_file": file, "resource": "0"})
    assert response.status_code == 200
    return response.content.decode()


def confirm(client: Client, page: str, preview: str, **change: str) -> str:
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', preview))
    hidden.pop("csrfmiddlewaretoken", None)
    return client.post(f"{page}process_import/", hidden | change, follow=True).content.decode()


def export(client: Client, page: str, file_format: str) -> bytes:
    response = client.post(f"{page}export/", {"format": file_format, "resource": "0"})
    assert response.headers["Content-Disposition"].startswith("attachment")
    return response.content


@pytest.mark.parametrize(("file_format", "name"), [("0", "f.csv"), ("1", "f.json")])
@pytest.mark.parametrize("page", [ARTICLE, KEYWORD])
def test_an_export_comes_back_unchanged(
    client: Client, articles: dict[str, Article], page: str, file_format: str, name: str
) -> None:
    Article.objects.filter(slug="beta-001").update(title="=1+1", text="a\r\nb\n")
    preview = upload(client, page, export(client, page, file_format), name)
    assert "0 new, 0 changed, 3 unchanged" in preview


def test_the_preview_shows_changes_and_only_the_confirmation_writes(
    client: Client, admin: User, articles: dict[str, Article], tmp_path: Path
) -> None:
    content = b"slug,title,text,category\nalpha-001,<b>New</b>,T,Testing\nnew-001,N,T,C\n"
    preview = upload(client, ARTICLE, content)
    assert "1 new, 1 changed, 0 unchanged" in preview
    assert "<del>Title of alpha-001</del> <ins>&lt;b&gt;New&lt;/b&gt;</ins>" in preview
    assert Article.objects.count() == 3
    assert "Imported: 1 new, 1 changed, 0 unchanged." in confirm(client, ARTICLE, preview)
    assert Article.objects.get(slug="alpha-001").title == "<b>New</b>"
    assert Article.objects.get(slug="alpha-001").tags == ["one", "two"]
    assert LogEntry.objects.filter(user=admin, change_message="Imported from a file.").count() == 2
    assert list(tmp_path.iterdir()) == []


def test_keywords_are_imported_in_order(client: Client, articles: dict[str, Article]) -> None:
    preview = upload(client, KEYWORD, b'phrase,articles\ngate,"beta-001, alpha-001"\n')
    confirm(client, KEYWORD, preview)
    assert Keyword.objects.get(phrase="gate").article_slugs == ["beta-001", "alpha-001"]


def test_errors_name_row_and_field_and_nothing_can_be_confirmed(
    client: Client, articles: dict[str, Article]
) -> None:
    page = upload(client, ARTICLE, b"slug,title,category,text\nok-1,T,C,T\nBad_1,,C,T\n")
    assert "<strong>Row 3</strong> <code>slug</code> Use lower-case letters" in page
    assert "<strong>Row 3</strong> <code>title</code> This field cannot be blank" in page
    assert "process_import" not in page
    assert "Unknown column: titel. Use: slug" in upload(client, ARTICLE, b"slug,titel\na,b\n")
    assert Article.objects.count() == 3


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"slug\na\n", "f.xlsx", "Choose a file whose name ends in .csv or .json."),
        (b"PK\x03\x04\xff", "f.csv", "Not UTF-8 text. Save the file as UTF-8."),
        (b"{", "f.json", "Not JSON"),
        (b"", "f.csv", "The submitted file is empty."),
        (b"slug,title\n", "f.csv", "No valid data to import"),
    ],
)
def test_what_cannot_be_read_is_refused(
    client: Client, content: bytes, name: str, said: str
) -> None:
    assert said in upload(client, ARTICLE, content, name)


def test_a_large_upload_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.check_size, "__defaults__", (20,))
    assert "There is more than 20 MB" in upload(client, ARTICLE, b"slug,title\n" + b"a" * 20)


def test_what_changed_after_the_preview_is_not_overwritten_by_half(
    client: Client, articles: dict[str, Article]
) -> None:
    preview = upload(client, KEYWORD, b"phrase,articles\nx,alpha-001\ny,beta-001\n")
    articles["beta-001"].delete()
    assert "Nothing was imported" in confirm(client, KEYWORD, preview)
    assert not Keyword.objects.filter(phrase="x").exists()


@pytest.mark.parametrize("name", ["gone", "../etc/passwd", "other.csv", ""])
def test_only_an_upload_can_be_confirmed(
    client: Client, articles: dict[str, Article], tmp_path: Path, name: str
) -> None:
    (tmp_path / "other.csv").write_text("slug\nalpha-001\n")
    preview = upload(client, ARTICLE, b"slug,title\nalpha-001,T\n")
    name = f"{UPLOAD_PREFIX}gone" if name == "gone" else name
    page = confirm(client, ARTICLE, preview, import_file_name=name)
    assert (
        "no longer there" in page
        or "This upload can&#x27;t be confirmed" in page
        or ("This upload can't be confirmed" in page)
    )
    assert (tmp_path / "other.csv").exists()


def test_saving_an_article_as_it_is_changes_nothing_in_its_file(
    client: Client, articles: dict[str, Article]
) -> None:
    Article.objects.update(text="One\n\nTwo")
    before = export(client, ARTICLE, "0")
    form = {"title": "Title of alpha-001", "category": "Testing", "tags": "one, two"}
    form |= {"text": "One\r\n\r\nTwo", "status": "published"}
    form |= {"links-TOTAL_FORMS": "0", "links-INITIAL_FORMS": "0"}
    page = f"{ARTICLE}{articles['alpha-001'].pk}/change/"
    assert client.post(page, form).status_code == 302
    assert export(client, ARTICLE, "0") == before


def test_analysts_neither_import_nor_export(analyst: User) -> None:
    client = Client()
    client.force_login(analyst)
    for page in (ARTICLE, KEYWORD):
        for action in ("import/", "export/", "process_import/"):
            assert client.post(page + action, follow=True).status_code == 403


@pytest.mark.parametrize("page", [ARTICLE, KEYWORD])
def test_the_pages_keep_to_the_policy(
    client: Client, articles: dict[str, Article], page: str
) -> None:
    pages = [client.get(page + action).content.decode() for action in ("", "import/", "export/")]
    pages.append(upload(client, page, export(client, page, "0")))
    for content in pages:
        assert not re.search(r"<style|\sstyle=|<script>|\son\w+=", content)

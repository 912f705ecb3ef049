from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import Module, Role
from accounts.permissions import module_required, says_when_signed_out
from knowledge.browsing import browse
from knowledge.forms import BrowseForm, PreviewForm, SearchForm
from knowledge.models import Article
from knowledge.preview import preview, ways_to
from knowledge.search.articles import LAST_PAGE, Results, search_articles
from knowledge.search.query import InvalidQuery


@require_safe
@module_required(Module.KNOWLEDGE_BASE)
def knowledge_search(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET if "q" in request.GET else None)
    results = _search(form, request.GET.get("page", ""))
    context = {"form": form, "results": results}
    if results is None and not form.errors:
        context |= _shelf(request)
    status = 400 if form.errors or "problem" in context else 200
    return render(request, "knowledge/search.html", context, status=status)


def _search(form: SearchForm, page: str) -> Results | None:
    """None where nothing was asked for, or too much."""
    if not (form.is_valid() and form.cleaned_data["q"]):
        return None
    number = int(page) if page.isascii() and page.isdigit() else 1
    try:
        return search_articles(form.cleaned_data["q"], page=min(max(number, 1), LAST_PAGE))
    except InvalidQuery as error:
        form.add_error("q", str(error))
        return None


def _shelf(request: HttpRequest) -> dict[str, Any]:
    """What there is to browse, or the `problem` with an address that names no shelf."""
    chosen = BrowseForm(request.GET)
    if not chosen.is_valid():
        field, problems = next(iter(chosen.errors.items()))
        return {"problem": f"{field}: {problems[0]}"}
    wanted = chosen.cleaned_data
    category, tag = wanted["category"], wanted["tag"]
    shelf = browse(category, tag, wanted["page"] or 1)
    return {"shelf": shelf, "category": category, "tag": tag}


@require_http_methods(["GET", "HEAD", "POST"])
@says_when_signed_out
@module_required(Module.KNOWLEDGE_BASE)
def preview_page(request: HttpRequest) -> HttpResponse:
    """What a text brings. Links name one in their address; the form posts, since it may be long."""
    is_admin = request.user.has_role(Role.ADMIN)
    form = PreviewForm(request.POST or request.GET, may_see_drafts=is_admin)
    found = None
    if form.is_valid():
        wanted = form.cleaned_data
        found = preview(wanted["text"], include_drafts=wanted.get("include_drafts", False))
    context = {"form": form, "preview": found, "can_read_articles": True, "shows_text": True}
    template = "knowledge/_preview.html" if request.htmx else "knowledge/preview.html"
    return render(request, template, context, status=200 if found else 400)


@require_safe
@module_required(Module.KNOWLEDGE_BASE)
def article_reach(request: HttpRequest, slug: str) -> HttpResponse:
    """What brings an article."""
    article = get_object_or_404(Article.objects.visible_to(request.user), slug=slug)
    is_published = article.status == Article.Status.PUBLISHED
    context = {"article": article, "ways": ways_to(article), "is_published": is_published}
    return render(request, "knowledge/reach.html", context)

"""An article's page. It is here, because it tells where the article was used."""

from typing import Any

from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.models import Module, User
from accounts.permissions import module_required
from knowledge.models import Article, Keyword
from simulations.models import Citation, Simulation

MAX_USES = 10
EXCERPT_LENGTH = 200


@require_safe
@module_required(Module.KNOWLEDGE_BASE)
def article_page(request: HttpRequest, slug: str) -> HttpResponse:
    article = get_object_or_404(Article.objects.visible_to(request.user), slug=slug)
    keywords = Keyword.objects.filter(links__article=article)
    context = {"article": article, "keywords": keywords.values_list("phrase", flat=True)}
    if request.user.has_module(Module.SIMULATIONS):
        context |= {"shows_uses": True} | uses_of(article, request.user)
    return render(request, "knowledge/article.html", context)


def uses_of(article: Article, user: User) -> dict[str, Any]:
    """The latest of the simulations that were sent the article, of those that the user may see.

    Found by the citations' keys, which rise with time: in that order a few of them are enough.
    """
    citations = (
        Citation.objects.filter(article=article, simulation__in=Simulation.objects.visible_to(user))
        .select_related("simulation__owner")
        .annotate(excerpt=Left("simulation__query", EXCERPT_LENGTH))
        .only(
            *("keywords", "found_by", "truncated", "simulation__status"),
            *("simulation__created_at", "simulation__stop_reason", "simulation__owner__username"),
        )
        .order_by("-pk")
    )
    found = list(citations[: MAX_USES + 1])
    return {"uses": found[:MAX_USES], "has_more_uses": len(found) > MAX_USES}

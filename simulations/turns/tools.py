"""The tools that an assistant may call, and what they answer."""

import json
from typing import Any

from accounts.models import Module, User
from knowledge.context import text_as_sent
from knowledge.search.articles import search_articles
from knowledge.search.query import InvalidQuery
from simulations.models import Assistant, Tool

MAX_ROUNDS = 5
# Of a round. They are answered in the task's one thread, and what they answer is paid for as input.
MAX_CALLS = 8
MAX_OUTPUT = 60_000  # characters
MAX_ARTICLES = 3

SEARCH_KNOWLEDGE = {
    "type": "function",
    "name": Tool.SEARCH_KNOWLEDGE.value,
    "description": (
        "Searches the knowledge base for articles that hold all the words given, in any form. "
        'Quotes keep words together, a minus before a word leaves it out, "or" finds either.'
    ),
    "parameters": {
        "type": "object",
        "properties": {"query": {"type": "string", "description": "A few words, no sentence."}},
        "required": ["query"],
        "additionalProperties": False,
    },
    "strict": True,
}


def _error(message: str) -> str:
    return json.dumps({"error": message}, ensure_ascii=False)


TOO_MANY_CALLS = _error(f"Not answered: only {MAX_CALLS} calls at a time are.")
TOO_MUCH_OUTPUT = _error("Not answered: what you called before it has brought too much text.")
OVER_LIMIT = {TOO_MANY_CALLS, TOO_MUCH_OUTPUT}


def tools_for(assistant: Assistant, owner: User) -> tuple[dict[str, Any], ...]:
    """What a run on behalf of this user is offered: it searches what they may read themselves."""
    offered = Tool.SEARCH_KNOWLEDGE in assistant.tools and owner.has_module(Module.KNOWLEDGE_BASE)
    return (SEARCH_KNOWLEDGE,) if offered else ()


def answer_call(assistant: Assistant, owner: User, name: str, arguments: str) -> str:
    """A tool's output as JSON; what can't be answered gets an `error` that says why."""
    if name not in assistant.tools:
        return _error(f"There is no tool named {name!r}.")
    if not owner.has_module(Module.KNOWLEDGE_BASE):
        return _error("The user may not read the knowledge base.")
    try:
        query = json.loads(arguments)["query"]
    except (ValueError, TypeError, LookupError, RecursionError):
        query = None
    if not isinstance(query, str):
        return _error('The arguments must be a JSON object like {"query": "a few words"}.')
    try:
        return json.dumps({"articles": _search(query)}, ensure_ascii=False)
    except InvalidQuery as error:
        return _error(str(error))


def _search(query: str) -> list[dict[str, str]]:
    articles = [hit.article for hit in search_articles(query, page_size=MAX_ARTICLES).hits]
    return [
        {
            "title": article.title,
            "category": article.category,
            "text": text_as_sent(article.text)[0],
        }
        for article in articles
    ]

"""Every page there is, one row each: what the tests of all pages walk, and what pictures show.

A new page is one more row. `pages.world` is what the rows' paths lead to.
"""

from dataclasses import dataclass
from uuid import UUID

SIMULATIONS = "/simulations/"
KNOWLEDGE = "/knowledge/"
ADMIN = "/admin/"
ARTICLE = "field-security-handbook-001"
DRAFT = 9001  # the key of an article, as the admin names it
AGENT = 9002
AUDITED = 9003
LEAVING = 9004

ANSWERED, FOLLOWED_UP, RUNNING, QUEUED, FAILED, CANCELLED = (UUID(int=n) for n in range(1, 7))


@dataclass(frozen=True)
class PageCase:
    """`user`: who looks at it, nobody if empty. `name` is also its pictures' name.

    `requests`: how many a first visit may make beyond the document.
    """

    name: str
    path: str
    user: str = "analyst"
    status: int = 200
    requests: int = 3

    @property
    def is_admin(self) -> bool:
        return self.path.startswith(ADMIN)


PAGES = [
    PageCase("sign-in", "/sign-in/", user=""),
    PageCase("simulations", SIMULATIONS),
    PageCase("simulations-empty", SIMULATIONS, user="trainee"),
    PageCase("new-simulation", f"{SIMULATIONS}new/"),
    PageCase("answer", f"{SIMULATIONS}{ANSWERED}/"),
    PageCase("conversation", f"{SIMULATIONS}{FOLLOWED_UP}/"),
    PageCase("running", f"{SIMULATIONS}{RUNNING}/"),
    PageCase("queued", f"{SIMULATIONS}{QUEUED}/"),
    PageCase("failed", f"{SIMULATIONS}{FAILED}/"),
    PageCase("cancelled", f"{SIMULATIONS}{CANCELLED}/"),
    PageCase("manifest", f"{SIMULATIONS}{ANSWERED}/manifest/"),
    PageCase("follow-up", f"{SIMULATIONS}{ANSWERED}/follow-up/"),
    PageCase("knowledge", KNOWLEDGE),
    PageCase("knowledge-shelf", f"{KNOWLEDGE}?category=Movement&tag=convoy"),
    PageCase("knowledge-search", f"{KNOWLEDGE}?q=evacuation+routes"),
    PageCase("knowledge-nothing-found", f"{KNOWLEDGE}?q=xyzzyqwert"),
    PageCase("article", f"{KNOWLEDGE}articles/{ARTICLE}/"),
    PageCase("article-reach", f"{KNOWLEDGE}articles/{ARTICLE}/reach/"),
    PageCase("matching", f"{KNOWLEDGE}preview/?text=Who+checks+access+control+and+encryption"),
    PageCase("usage", "/usage/", user="admin"),
    PageCase("usage-month", "/usage/?months=1", user="admin"),
    PageCase("usage-own", "/usage/"),
    PageCase("forbidden", KNOWLEDGE, user="trainee", status=403),
    PageCase("not-found", "/nowhere/", status=404),
    PageCase("account", "/account/"),
    PageCase("second-factor", "/account/second-factor/"),
    PageCase("agents", "/agents/", user="admin"),
    PageCase("agent", f"/agents/{AGENT}/", user="admin"),
    PageCase("admin", ADMIN, user="admin"),
    PageCase("admin-curation", f"{ADMIN}curation/", user="admin"),
    PageCase("admin-articles", f"{ADMIN}knowledge/article/", user="admin"),
    PageCase("admin-article", f"{ADMIN}knowledge/article/{DRAFT}/change/", user="admin"),
    PageCase("admin-article-new", f"{ADMIN}knowledge/article/add/", user="admin"),
    PageCase("admin-history", f"{ADMIN}knowledge/article/{DRAFT}/history/", user="admin"),
    PageCase("admin-import", f"{ADMIN}knowledge/article/import/", user="admin"),
    PageCase("admin-export", f"{ADMIN}knowledge/article/export/", user="admin"),
    PageCase("admin-keywords", f"{ADMIN}knowledge/keyword/", user="admin"),
    PageCase("admin-agents", f"{ADMIN}simulations/agent/", user="admin"),
    PageCase("admin-agent", f"{ADMIN}simulations/agent/{AGENT}/change/", user="admin"),
    PageCase("admin-assistants", f"{ADMIN}simulations/assistant/", user="admin"),
    PageCase("admin-rules", f"{ADMIN}simulations/answerrule/", user="admin"),
    PageCase("admin-rule-new", f"{ADMIN}simulations/answerrule/add/", user="admin"),
    PageCase(
        "admin-rules-preview", f"{ADMIN}simulations/answerrule/preview/", user="admin", requests=5
    ),
    PageCase("admin-simulations", f"{ADMIN}simulations/simulation/", user="admin"),
    PageCase("admin-simulation", f"{ADMIN}simulations/simulation/{ANSWERED}/change/", user="admin"),
    PageCase("admin-prices", f"{ADMIN}simulations/price/", user="admin"),
    PageCase("admin-price-new", f"{ADMIN}simulations/price/add/", user="admin"),
    PageCase("admin-runs", f"{ADMIN}simulations/run/", user="admin"),
    PageCase("admin-audit", f"{ADMIN}accounts/auditentry/", user="admin"),
    PageCase("admin-audit-entry", f"{ADMIN}accounts/auditentry/{AUDITED}/change/", user="admin"),
    PageCase("admin-users", f"{ADMIN}accounts/user/", user="admin"),
    PageCase("admin-user-new", f"{ADMIN}accounts/user/add/", user="admin"),
    PageCase("admin-erase", f"{ADMIN}accounts/user/{LEAVING}/erase/", user="admin"),
    PageCase("admin-erasures", f"{ADMIN}simulations/erasure/", user="admin"),
    PageCase("admin-failed-sign-ins", f"{ADMIN}accounts/failedsignin/", user="admin"),
    PageCase("admin-tokens", f"{ADMIN}accounts/apitoken/", user="admin"),
]

# What has a URL outside the API and the admin and is no page, by the URL's name.
NOT_PAGES = {
    "home",
    "logout",
    "token-new",
    "token-revoke",
    "session-end",
    "password-change",
    "account-export",
    # Those of the second factor that need a code have their test: e2e/test_second_factor.py.
    "sign-in-code",
    "sign-in-enrol",
    "second-factor-enrol",
    "second-factor-codes",
    "second-factor-remove",
    "agents:run",
    "simulations:cancel",
    "simulations:retry",
    "simulations:sources",
    "simulations:status",
    "simulations:feedback",
    "simulations:rows",
    "simulations:answer-download",
    "simulations:manifest-download",
    "usage-file",
    "openai-webhook",
    "healthz",
    "readyz",
    "metrics",
}

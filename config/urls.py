from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import RedirectView

from accounts import api as accounts_api
from accounts import second_factor_views as factor
from accounts import token_api
from accounts import views as accounts
from config.openapi_views import docs, schema
from config.views import healthz
from knowledge import api as knowledge_api
from knowledge import curation_api
from knowledge import views as knowledge
from knowledge.match_api import match
from simulations import api as simulations_api
from simulations import views as simulations
from simulations.agents import api as agents_api
from simulations.agents import views as agents
from simulations.answer_rules import api as rules_api
from simulations.curation.admin import curation_health
from simulations.curation.article_views import article_page
from simulations.listing import views as list_views
from simulations.monitoring.health import readyz
from simulations.monitoring.metrics import metrics
from simulations.privacy.admin import erase_user
from simulations.privacy.export import account_export
from simulations.usage.views import usage_file, usage_page
from simulations.webhooks import openai_webhook

api = [
    path("auth/login", accounts_api.login, name="login"),
    path("auth/logout", accounts_api.logout, name="logout"),
    path("auth/logoutall", accounts_api.logout_all, name="logout-all"),
    path("auth/tokens", token_api.TokensView.as_view(), name="tokens"),
    path("auth/tokens/<slug:pk>", token_api.TokenView.as_view(), name="token"),
    path("schema", schema, name="schema"),
    path("docs", docs, name="docs"),
    path("me", simulations_api.me, name="me"),
    path("agents", agents_api.AgentsView.as_view(), name="agents"),
    path("agents/<int:pk>", agents_api.AgentView.as_view(), name="agent"),
    path("agents/<int:pk>/run", agents_api.RunAgentView.as_view(), name="run-agent"),
    path("agents/<int:pk>/runs", agents_api.AgentRunsView.as_view(), name="agent-runs"),
    path("assistants", simulations_api.AssistantsView.as_view(), name="assistants"),
    path("simulations", simulations_api.SimulationsView.as_view(), name="simulations"),
    path("simulations/<uuid:pk>", simulations_api.SimulationView.as_view(), name="simulation"),
    path("simulations/<uuid:pk>/manifest", simulations_api.ManifestView.as_view(), name="manifest"),
    path("simulations/<uuid:pk>/cancel", simulations_api.CancelView.as_view(), name="cancel"),
    path("simulations/<uuid:pk>/retry", simulations_api.RetryView.as_view(), name="retry"),
    path("simulations/<uuid:pk>/feedback", simulations_api.FeedbackView.as_view(), name="feedback"),
    path(
        "simulations/<uuid:pk>/follow-ups",
        simulations_api.FollowUpsView.as_view(),
        name="follow-ups",
    ),
    path("answer-rules", rules_api.AnswerRulesView.as_view(), name="answer-rules"),
    path("answer-rules/preview", rules_api.AnswerRulesPreviewView.as_view(), name="rules-preview"),
    path("answer-rules/<int:pk>", rules_api.AnswerRuleView.as_view(), name="answer-rule"),
    path("knowledge/search", knowledge_api.search, name="knowledge-search"),
    path("knowledge/match", match, name="knowledge-match"),
    path("knowledge/articles", curation_api.ArticlesView.as_view(), name="articles"),
    path("knowledge/articles/<slug:slug>", curation_api.ArticleView.as_view(), name="article"),
    path("knowledge/keywords", curation_api.KeywordsView.as_view(), name="keywords"),
    path("knowledge/keywords/<int:pk>", curation_api.KeywordView.as_view(), name="keyword"),
]

pages = [
    path("", list_views.simulation_list, name="list"),
    path("rows/", list_views.simulation_rows, name="rows"),
    path("new/", simulations.simulation_new, name="new"),
    path("new/sources/", simulations.simulation_sources, name="sources"),
    path("<uuid:pk>/", simulations.simulation_detail, name="detail"),
    path("<uuid:pk>/manifest/", simulations.simulation_manifest, name="manifest"),
    path("<uuid:pk>/manifest.json", simulations.manifest_download, name="manifest-download"),
    path("<uuid:pk>/answer.md", simulations.answer_download, name="answer-download"),
    path("<uuid:pk>/status/", simulations.simulation_status, name="status"),
    path("<uuid:pk>/cancel/", simulations.simulation_cancel, name="cancel"),
    path("<uuid:pk>/retry/", simulations.simulation_retry, name="retry"),
    path("<uuid:pk>/feedback/", simulations.simulation_feedback, name="feedback"),
    path("<uuid:pk>/follow-up/", simulations.simulation_follow_up, name="follow-up"),
]

agent_pages = [
    path("", agents.agent_list, name="list"),
    path("<int:pk>/", agents.agent_detail, name="detail"),
    path("<int:pk>/run/", agents.agent_run, name="run"),
]

knowledge_pages = [
    path("preview/", knowledge.preview_page, name="preview"),
    path("articles/<slug:slug>/reach/", knowledge.article_reach, name="article-reach"),
    path("", knowledge.knowledge_search, name="search"),
    path("articles/<slug:slug>/", article_page, name="article"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="simulations:list"), name="home"),
    path("sign-in/", accounts.SignInView.as_view(), name="login"),
    path("sign-in/code/", factor.sign_in_code, name="sign-in-code"),
    path("sign-in/enrol/", factor.sign_in_enrol, name="sign-in-enrol"),
    path("account/second-factor/", factor.second_factor_page, name="second-factor"),
    path("account/second-factor/enrol/", factor.second_factor_enrol, name="second-factor-enrol"),
    path("account/second-factor/codes/", factor.second_factor_codes, name="second-factor-codes"),
    path("account/second-factor/remove/", factor.second_factor_remove, name="second-factor-remove"),
    path("account/export/", account_export, name="account-export"),
    path("account/", accounts.account, name="account"),
    path("account/tokens/", accounts.token_new, name="token-new"),
    path("account/tokens/<slug:pk>/revoke/", accounts.token_revoke, name="token-revoke"),
    path("account/sessions/<slug:handle>/end/", accounts.session_end, name="session-end"),
    path("account/password/", accounts.password_change, name="password-change"),
    path("sign-out/", auth.LogoutView.as_view(), name="logout"),
    path("simulations/", include((pages, "simulations"))),
    path("agents/", include((agent_pages, "agents"))),
    path("knowledge/", include((knowledge_pages, "knowledge"))),
    path("usage/", usage_page, name="usage"),
    path("usage/by-<str:by>.csv", usage_file, name="usage-file"),
    path("api/v1/", include((api, "api"))),
    path("webhooks/openai/", openai_webhook, name="openai-webhook"),
    path("admin/login/", accounts.admin_sign_in),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/accounts/user/<int:pk>/erase/", erase_user, name="erase-user"),
    path("admin/curation/", curation_health, name="curation-health"),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"

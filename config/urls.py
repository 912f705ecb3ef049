from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import RedirectView

from accounts import api as accounts_api
from accounts import views as accounts
from accounts.forms import SignInForm
from config.views import healthz
from knowledge import api as knowledge_api
from simulations import api as simulations_api
from simulations import views as simulations

api = [
    path("auth/login", accounts_api.login, name="login"),
    path("auth/logout", accounts_api.logout, name="logout"),
    path("auth/logoutall", accounts_api.logout_all, name="logout-all"),
    path("me", simulations_api.me, name="me"),
    path("simulations", simulations_api.SimulationsView.as_view(), name="simulations"),
    path("simulations/<uuid:pk>", simulations_api.SimulationView.as_view(), name="simulation"),
    path("knowledge/search", knowledge_api.search, name="knowledge-search"),
    path("knowledge/articles", knowledge_api.ArticlesView.as_view(), name="articles"),
    path("knowledge/articles/<str:slug>", knowledge_api.article_detail, name="article"),
]

pages = [
    path("", simulations.simulation_list, name="list"),
    path("new/", simulations.simulation_new, name="new"),
    path("<uuid:pk>/", simulations.simulation_detail, name="detail"),
    path("<uuid:pk>/status/", simulations.simulation_status, name="status"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="simulations:list"), name="home"),
    path(
        "sign-in/",
        auth.LoginView.as_view(
            template_name="accounts/sign_in.html",
            authentication_form=SignInForm,
            redirect_authenticated_user=True,
        ),
        name="login",
    ),
    path("sign-out/", auth.LogoutView.as_view(), name="logout"),
    path("simulations/", include((pages, "simulations"))),
    path("api/v1/", include((api, "api"))),
    path("admin/login/", accounts.admin_sign_in),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"

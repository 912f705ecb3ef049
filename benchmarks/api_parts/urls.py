"""The product, a bare Django view, and a bare view of the framework that asks who it is."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import HasSimulations
from config.urls import urlpatterns as product

BODY = {"status": "PENDING"}


def bare_django(request: HttpRequest) -> JsonResponse:
    return JsonResponse(BODY)


class BareView(APIView):
    """Authentication, permission and throttle as all views of the API have them."""

    permission_classes = [HasSimulations]

    def get(self, request: Request) -> Response:
        return Response(BODY)


urlpatterns = [
    path("bare/django", bare_django),
    path("bare/framework", BareView.as_view()),
    *product,
]

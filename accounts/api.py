from django.contrib.auth import authenticate, user_logged_in
from django.http import HttpRequest
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import openapi
from accounts.audit import made_by
from accounts.authentication import ApiTokenAuthentication
from accounts.lockout import find_lockout
from accounts.models import ApiToken, User
from accounts.second_factor import CodeRequired, SecondFactorMissing, verify
from config.errors import Unauthorized
from config.requests import check_empty
from config.serializers import StrictSerializer, TextField


class LoginSerializer(StrictSerializer):
    username = TextField(max_length=150)
    password = TextField(max_length=4096, trim_whitespace=False)
    code = TextField(
        max_length=100,
        required=False,
        help_text="From the authenticator app, or a recovery code: for users with a second factor.",
    )


@openapi.log_in(LoginSerializer)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([])
def login(request: Request) -> Response:
    """Trades a username and password for a bearer token of 12 hours, which is shown only once."""
    serializer = LoginSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    credentials = serializer.validated_data
    code = credentials.pop("code", "")
    # django-axes notes on the request that came in what it thinks of it.
    incoming = request._request
    user = authenticate(incoming, **credentials)
    if user is None:
        raise find_lockout(incoming) or Unauthorized("Wrong username or password")
    check_second_factor(incoming, user, code)
    user_logged_in.send(sender=type(user), request=incoming, user=user)
    with made_by(user):
        token, secret = ApiToken.objects.sign_in(user)
    headers = {"Cache-Control": "no-store"}
    return Response({"token": secret, "expires_at": token.expiry}, headers=headers)


def check_second_factor(request: HttpRequest, user: User, code: str) -> None:
    if user.must_enrol:
        raise SecondFactorMissing
    if not user.has_second_factor:
        return
    if not code:
        raise CodeRequired
    verify(request, user, code)


@openapi.log_out
@api_view(["POST"])
@authentication_classes([ApiTokenAuthentication])
def logout(request: Request) -> Response:
    """Revokes the token that the request was made with."""
    check_empty(request)
    request.auth.delete()
    return Response(status=204)


@openapi.log_out_all
@api_view(["POST"])
@authentication_classes([ApiTokenAuthentication])
def logout_all(request: Request) -> Response:
    """Revokes all the user's tokens."""
    check_empty(request)
    request.user.auth_token_set.all().delete()
    return Response(status=204)

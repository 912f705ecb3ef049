from typing import Any

from django.contrib.auth import authenticate, user_logged_in
from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import contract
from accounts.audit import made_by
from accounts.authentication import ApiTokenAuthentication
from accounts.lockout import find_lockout
from accounts.models import ApiToken, User
from accounts.second_factor import CodeRequired, SecondFactorMissing, verify
from config.errors import Unauthorized
from config.requests import check_empty


class StrictSerializer(serializers.Serializer):
    """Refuses fields it doesn't know, by name: a misspelt field is not silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {name: [f"Unknown field. Use: {known}."] for name in unknown}
            )
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """Text only: the framework's own field would take a number for its digits."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """Numbers only: the framework's own field would take a text of digits."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str | bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """true or false only: the framework's own field would take "yes" and 1 too."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class LoginSerializer(StrictSerializer):
    username = TextField(max_length=150)
    password = TextField(max_length=4096, trim_whitespace=False)
    code = TextField(
        max_length=100,
        required=False,
        help_text="From the authenticator app, or a recovery code: for users with a second factor.",
    )


@contract.log_in(LoginSerializer)
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


@contract.log_out
@api_view(["POST"])
@authentication_classes([ApiTokenAuthentication])
def logout(request: Request) -> Response:
    """Revokes the token that the request was made with."""
    check_empty(request)
    request.auth.delete()
    return Response(status=204)


@contract.log_out_all
@api_view(["POST"])
@authentication_classes([ApiTokenAuthentication])
def logout_all(request: Request) -> Response:
    """Revokes all the user's tokens."""
    check_empty(request)
    request.user.auth_token_set.all().delete()
    return Response(status=204)

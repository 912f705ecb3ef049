from datetime import timedelta
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import openapi
from accounts.models import ApiToken
from config.errors import Forbidden, NotFound
from config.serializers import StrictSerializer, TextField, WholeNumberField

PRIVATE = {"Cache-Control": "no-store"}


class TokenRequestSerializer(StrictSerializer):
    name = TextField(max_length=100)
    expires_in_days = WholeNumberField(
        default=30, min_value=1, max_value=ApiToken.LONGEST_LIFETIME.days
    )


class TokenSerializer(serializers.ModelSerializer):
    id = serializers.CharField(source="token_key", help_text="How the token begins.")
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry")
    is_sign_in = serializers.BooleanField()
    is_current = serializers.SerializerMethodField(
        help_text="Whether the request was made with it."
    )

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "name",
            "created_at",
            "expires_at",
            "last_used_at",
            "is_sign_in",
            "is_current",
        ]

    def get_is_current(self, token: ApiToken) -> bool:
        return token == self.context["request"].auth


class TokensView(APIView):
    @openapi.list_tokens(TokenSerializer)
    def get(self, request: Request) -> Response:
        tokens = ApiToken.objects.usable_by(request.user)
        return Response({"results": show(tokens, request, many=True)}, headers=PRIVATE)

    @openapi.create_token(TokenRequestSerializer, TokenSerializer)
    def post(self, request: Request) -> Response:
        """Makes a token, which is shown only once.

        Not for those who come with such a token themselves: whoever finds one could make others
        that outlive it.
        """
        if request.auth and not request.auth.is_sign_in:
            raise Forbidden(
                "A token can't make tokens. Sign in with POST auth/login, or use the account page."
            )
        serializer = TokenRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        token, secret = ApiToken.objects.issue(
            request.user, wanted["name"], timedelta(days=wanted["expires_in_days"])
        )
        body = show(token, request) | {"token": secret}
        return Response(body, status=201, headers=PRIVATE)


class TokenView(APIView):
    @openapi.revoke_token
    def delete(self, request: Request, pk: str) -> Response:
        """Revokes one of the user's tokens; it stops working at once."""
        deleted, _ = ApiToken.objects.usable_by(request.user).filter(token_key=pk).delete()
        if not deleted:
            raise NotFound("You have no such token")
        return Response(status=204)


def show(tokens: Any, request: Request, *, many: bool = False) -> Any:
    return TokenSerializer(tokens, many=many, context={"request": request}).data

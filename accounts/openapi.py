"""What the API says of signing in and of tokens, for its description."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from accounts.models import ApiToken


class SignedInSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Shown only once.")
    expires_at = serializers.DateTimeField()


def log_in(request: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="log_in",
        summary="Trade a username and password for a token",
        description="The token ends after 12 hours, and with a new password or second factor.",
        request=request,
        responses={200: SignedInSerializer, 401: None, 403: None},
        examples=[
            OpenApiExample(
                "Somebody",
                value={"username": "analyst", "password": "a long password"},
                request_only=True,
            )
        ],
    )


log_out = extend_schema(
    operation_id="log_out",
    summary="Revoke this token",
    request=None,
    responses={204: None},
)
log_out_all = extend_schema(
    operation_id="log_out_all",
    summary="Revoke all your tokens",
    request=None,
    responses={204: None},
)


def list_tokens(shown: type[serializers.ModelSerializer]) -> Any:
    class TokensSerializer(serializers.Serializer):
        results = shown(many=True)

    return extend_schema(
        operation_id="list_tokens", summary="Your tokens", responses={200: TokensSerializer}
    )


def create_token(
    request: type[serializers.Serializer], shown: type[serializers.ModelSerializer]
) -> Any:
    class NewTokenSerializer(shown):
        token = serializers.CharField(help_text="Shown only once.")

        class Meta:
            model = ApiToken
            fields = [*shown.Meta.fields, "token"]

    return extend_schema(
        operation_id="create_token",
        summary="Make a token",
        description="For a program. Such a token can't make any itself: somebody who found it "
        "could make others that outlive it.",
        request=request,
        responses={201: NewTokenSerializer, 409: None},
    )


revoke_token = extend_schema(
    operation_id="revoke_token",
    summary="Revoke a token",
    description="It stops working at once.",
    responses={204: None},
)

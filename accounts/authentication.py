import re

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import ApiToken, User

# Also what a secret scanner can look for; see docs/operations.md.
TOKEN = re.compile(rb"sitrep_[0-9a-f]{64}")


class ApiTokenAuthentication(TokenAuthentication):
    """knox's bearer authentication at the price of one query.

    knox's own clean-up loads all the user's tokens on every request.
    """

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        return auth_token.is_over

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        if not TOKEN.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        user, auth_token = super().authenticate_credentials(token)
        auth_token.touch()
        return user, auth_token

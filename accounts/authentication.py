from knox.auth import TokenAuthentication

from accounts.models import ApiToken, User


class ApiTokenAuthentication(TokenAuthentication):
    """knox's bearer authentication at the price of one query.

    knox's own clean-up loads all the user's tokens on every request.
    """

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        return auth_token.is_expired

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        # A token is ASCII; knox decodes it as UTF-8 and fails on other bytes.
        user, auth_token = super().authenticate_credentials(
            token.decode("ascii", "replace").encode()
        )
        auth_token.touch()
        return user, auth_token

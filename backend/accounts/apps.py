"""People, their tokens and their sign-in."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The accounts room."""

    name = "backend.accounts"

    def ready(self) -> None:
        """Teach the API's schema our tokens."""
        from backend.accounts import schema  # noqa: F401

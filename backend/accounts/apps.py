"""People, their tokens and their sign-in."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The accounts room."""

    name = "backend.accounts"

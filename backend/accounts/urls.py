"""Signing in and out, and what is a person's own."""

from django.urls import path

from backend.accounts import again, api, pages

urlpatterns = [
    path("sign-in/", pages.SignIn.as_view(), name="sign-in"),
    path("api/sign-in", again.sign_in_again, name="sign-in-again"),
    path("sign-out/", pages.SignOut.as_view(), name="sign-out"),
    path("api/me/keys", api.KeysView.as_view(), name="my-keys"),
]

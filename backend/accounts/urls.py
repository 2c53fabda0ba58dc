"""Signing in and out."""

from django.urls import path

from backend.accounts import again, pages

urlpatterns = [
    path("sign-in/", pages.SignIn.as_view(), name="sign-in"),
    path("api/sign-in", again.sign_in_again, name="sign-in-again"),
    path("sign-out/", pages.SignOut.as_view(), name="sign-out"),
]

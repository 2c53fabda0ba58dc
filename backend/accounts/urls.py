"""Signing in and out."""

from django.urls import path

from backend.accounts import pages

urlpatterns = [
    path("sign-in/", pages.SignIn.as_view(), name="sign-in"),
    path("sign-out/", pages.SignOut.as_view(), name="sign-out"),
]

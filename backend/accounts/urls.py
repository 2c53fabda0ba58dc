"""Signing in and out."""

from django.contrib.auth import views
from django.urls import path

from backend.accounts import pages

urlpatterns = [
    path("sign-in/", pages.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.LogoutView.as_view(next_page="/sign-in/"), name="sign-out"),
]

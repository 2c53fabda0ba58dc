"""Signing in and out; every attempt is recorded."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import views
from django.contrib.auth.forms import AuthenticationForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from backend.accounts.models import User
from backend.accounts.services import guard_sign_in, sign_in_refused
from backend.audit.services import record, revoke_grants
from backend.errors import NotAllowed


class SignIn(views.LoginView):
    """User name and password; a failure says so and is recorded."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def get_success_url(self) -> str:
        """Where to go after signing in: never back to the sign-in page."""
        found: str = super().get_success_url()
        again = urlsplit(found).path == self.request.path
        return self.get_default_redirect_url() if again else found

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Try what was typed, one try after the other; none after too many wrong ones."""
        name = request.POST.get("username", "")
        try:
            with transaction.atomic():
                guard_sign_in(username=name)
                return super().post(request, *args, **kwargs)
        except NotAllowed as refused:
            form = self.get_form_class()(request, initial={"username": name})
            context = self.get_context_data(form=form, refused=refused)
            return self.render_to_response(context, status=refused.status)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Signed in: record it in the transaction that made the session."""
        user = form.get_user()
        with transaction.atomic():
            response = super().form_valid(form)
            if isinstance(user, User):
                record("user.signed_in", user, actor=user, method="password")
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Refused: record the attempt under the name that was tried, if there is such a person."""
        sign_in_refused(username=form.cleaned_data.get("username", ""))
        return super().form_invalid(form)


class SignOut(views.LogoutView):
    """Ends the session, and what its credential was granted."""

    next_page = "/sign-in/"

    @transaction.atomic
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Signed out: recorded in the transaction that ends the session."""
        user = request.user
        response: HttpResponse = super().post(request, *args, **kwargs)
        revoke_grants()
        if isinstance(user, User):
            record("user.signed_out", user, actor=user)
        return response

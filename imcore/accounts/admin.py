"""Users, for people who help them. Passwords and session tokens are shown to nobody."""

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from imcore.accounts.models import User
from imcore.accounts.records import is_locked
from imcore.accounts.services import managing
from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_async
from imcore.dashboard import FactsAdmin, date_of
from imcore.errors import ImError
from imcore.identifiers import now_ms


@admin.register(User)
class UserAdmin(FactsAdmin):
    """Who has an account, the newest first; found by id, user name, address or phone number."""

    list_display = ("username", "object_id", "email", "phone", "created", "is_locked", "tenant")
    list_filter = ("application",)
    search_fields = ("object_id",)
    search_help_text = "An exact id, user name, email address or phone number."
    fields = (
        "object_id", "application", "username", "email", "is_email_verified", "phone", "is_phone_verified",
        "attributes_as_json", "auth_data_as_json", "acl_as_json", "is_locked", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("sign_out", "reset_password")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole values, never parts of them: that would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(object_id=term) | Q(username=term) | Q(email=term) | Q(phone=term)), False

    def has_session_permission(self, request: HttpRequest) -> bool:
        """Who may change users may do the two things there are to do to them here."""
        return request.user.has_perm("accounts.change_user")

    @admin.action(description="Sign out: end their sessions", permissions=["session"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End the session tokens of users."""
        users = list(queryset)
        for user in users:
            in_async(managing.end_session, application=_application_of(user), object_id=user.object_id, now_ms=now_ms())
            self.log_change(request, user, "Ended the session.")
        self.message_user(request, f"{len(users)} signed out.")

    @admin.action(description="Reset the password of one user", permissions=["session"])
    def reset_password(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Ask for a new password and set it, which also ends the user's session and unlocks a locked account."""
        users = list(queryset[:2])
        if len(users) != 1:
            self.message_user(request, "Select one user.", messages.WARNING)
            return None
        [user] = users
        problem = self._set_password(request, user) if "confirmed" in request.POST else ""
        if problem is None:
            self.message_user(request, f"{user} has a new password.")
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Reset a password",
            "opts": self.opts,
            "user_account": user,
            "problem": problem,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/accounts/user/reset_password.html", context)

    def _set_password(self, request: HttpRequest, user: User) -> str | None:
        """Return what is wrong with the password that was typed, or None once it is set."""
        password = request.POST.get("new_password", "")
        if password != request.POST.get("again"):
            return "The two passwords differ."
        try:
            in_async(
                managing.reset_password,
                application=_application_of(user),
                object_id=user.object_id,
                password=password,
                now_ms=now_ms(),
            )
        except ImError as error:
            return error.reason
        self.log_change(request, user, "Reset the password.")
        return None

    @admin.display(description="locked", boolean=True)
    def is_locked(self, user: User) -> bool:
        """Return whether too many wrong passwords keep the user out."""
        return is_locked(user.failures_ms, now_ms())

    @admin.display(description="created")
    def created(self, user: User) -> str:
        """Return when the user signed up."""
        return date_of(user.created_ms)

    @admin.display(description="updated")
    def updated(self, user: User) -> str:
        """Return when the user was last changed."""
        return date_of(user.updated_ms)

    @admin.display(description="attributes")
    def attributes_as_json(self, user: User) -> str:
        """Return the developer's own columns."""
        return _json(user.attributes)

    @admin.display(description="platforms it is linked to")
    def auth_data_as_json(self, user: User) -> str:
        """Return where the user has linked accounts; not the access tokens that are in `authData`."""
        return ", ".join(user.auth_data)

    @admin.display(description="ACL")
    def acl_as_json(self, user: User) -> str:
        """Return who may read the user, if that is not everybody."""
        return "" if user.acl is None else _json(user.acl)


def _application_of(user: User) -> ApplicationSnapshot:
    snapshot = in_async(applications.get, user.application.app_id)
    assert snapshot is not None
    return snapshot


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)

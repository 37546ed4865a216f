"""The application's page: its credentials, and the settings of all apps as sections."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.widgets import AdminIntegerFieldWidget
from django.db import models
from django.http import HttpRequest

from imcore.models import Application, ApplicationSettings

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Application]
    _StackedInline = admin.StackedInline[Any, Any]
else:
    # Django's own classes take no type arguments while running.
    _ModelAdmin = admin.ModelAdmin
    _StackedInline = admin.StackedInline

admin.site.site_header = "imcore"
admin.site.site_title = "imcore"
admin.site.index_title = "Dashboard"


def _section(settings_model: type[ApplicationSettings]) -> type[_StackedInline]:
    class Section(_StackedInline):
        model = settings_model
        can_delete = False
        min_num = max_num = 1
        verbose_name = verbose_name_plural = settings_model._meta.verbose_name
        # Django's own box shows five digits of the seven that some have.
        formfield_overrides = {
            models.PositiveIntegerField: {"widget": AdminIntegerFieldWidget(attrs={"style": "width: 8em"})}
        }

    return Section


@admin.register(Application)
class ApplicationAdmin(_ModelAdmin):
    """One tenant, edited in one place."""

    list_display = ("name", "app_id", "is_active", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "app_id")
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": ("name", "is_active", "created_at")}),
        ("Credentials", {"fields": ("app_id", "app_key", "master_key", "android_secure_key")}),
    )

    def get_inlines(self, request: HttpRequest, obj: Application | None) -> list[Any]:
        """Show every app's settings below an application that exists."""
        return [] if obj is None else [_section(model) for model in ApplicationSettings.registry]

    def get_readonly_fields(self, request: HttpRequest, obj: Application | None = None) -> tuple[str, ...]:
        """Keep the App ID of an existing application: shipped clients have it built in."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, "app_id")

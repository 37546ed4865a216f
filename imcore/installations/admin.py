"""Installations, for people who ask why a device gets no push."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from imcore.dashboard import FactsAdmin, date_of
from imcore.installations.models import Channel, Installation


@admin.register(Installation)
class InstallationAdmin(FactsAdmin):
    """The newest first; found by id, installation id, token or channel."""

    list_display = ("object_id", "device_type", "installation_id", "vendor", "is_valid", "updated", "tenant")
    list_filter = ("application", "device_type", "is_valid")
    search_fields = ("object_id",)
    search_help_text = "An exact id, installation id, device token or channel."
    fields = (
        "object_id", "application", "installation_id", "device_type", "device_token", "device_profile", "apns_topic",
        "apns_team_id", "time_zone", "vendor", "registration_id", "badge", "is_valid", "channel_names",
        "attributes_as_json", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole values, never parts of them: that would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        listening = Channel.objects.filter(name=term).values("installation")
        known = Q(object_id=term) | Q(installation_id=term) | Q(device_token=term)
        return queryset.filter(known | Q(pk__in=listening)), False

    @admin.display(description="channels")
    def channel_names(self, installation: Installation) -> str:
        """Return what the installation listens to."""
        return ", ".join(channel.name for channel in installation.channels.all())

    @admin.display(description="attributes")
    def attributes_as_json(self, installation: Installation) -> str:
        """Return the developer's own columns."""
        return json.dumps(installation.attributes, ensure_ascii=False, indent=2)

    @admin.display(description="created")
    def created(self, installation: Installation) -> str:
        """Return when it was made."""
        return date_of(installation.created_ms)

    @admin.display(description="updated")
    def updated(self, installation: Installation) -> str:
        """Return when it was last written."""
        return date_of(installation.updated_ms)

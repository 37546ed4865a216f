"""Files, for people who look after them: found by id, key and name, and deleted with their bytes."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html

from imcore.bridge import in_async
from imcore.dashboard import FactsAdmin, date_of
from imcore.files.models import File
from imcore.files.services import removing


@admin.register(File)
class FileAdmin(FactsAdmin):
    """What was uploaded, the newest first."""

    list_display = ("name", "object_id", "bytes", "mime_type", "owner_id", "created", "has_arrived", "link", "tenant")
    list_filter = ("application", ("arrived_ms", admin.EmptyFieldListFilter))
    search_fields = ("object_id",)
    search_help_text = "An exact id, key, name or owner."
    fields = (
        "object_id", "application", "name", "bytes", "mime_type", "owner_id", "key", "link", "metadata", "digest",
        "created", "has_arrived",
    )  # fmt: skip
    readonly_fields = fields
    # Django's own: it asks before it deletes.
    actions = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out what is already deleted."""
        return super().get_queryset(request).filter(application__isnull=False)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole values, never parts of them: that would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(object_id=term) | Q(key=term) | Q(name=term) | Q(owner_id=term)), False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Who may delete files in Django's sense may do so here."""
        return request.user.has_perm("files.delete_file")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a file and its bytes."""
        _remove_after_commit([obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete files and their bytes."""
        _remove_after_commit([file.pk for file in queryset])

    @admin.display(description="size")
    def bytes(self, file: File) -> str:
        """Return how large a file is."""
        return "" if file.size is None else filesizeformat(file.size)

    @admin.display(description="created")
    def created(self, file: File) -> str:
        """Return when a file was announced."""
        return date_of(file.created_ms)

    @admin.display(description="is here", boolean=True)
    def has_arrived(self, file: File) -> bool:
        """Return whether the bytes have come."""
        return file.arrived_ms is not None

    @admin.display(description="download")
    def link(self, file: File) -> str:
        """Return a link to a file; one that lies elsewhere is no link, since anybody may have written it."""
        if file.key is None:
            return file.url
        return format_html('<a href="/files/{}">download</a>', file.key) if file.arrived_ms is not None else ""


def _remove_after_commit(files: list[int]) -> None:
    """Delete files once the page's own transaction, in which nobody else can write on SQLite, is over."""
    transaction.on_commit(lambda: in_async(removing.remove, files))

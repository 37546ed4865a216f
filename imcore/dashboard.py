"""What the dashboard's pages of facts share: looking without touching, cheap on large tables, instants as dates."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Model]
else:
    # Django's own classes take no type arguments while running.
    _ModelAdmin = admin.ModelAdmin
    _Paginator = Paginator

# Rows that a list counts and pages through; what lies further back is found by searching.
COUNTED_MAX = 1000


class BoundedPaginator(_Paginator):
    """Pages through the first COUNTED_MAX rows, because counting a large table takes a database minutes."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, COUNTED_MAX at most."""
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return rows.order_by()[:COUNTED_MAX].count()


class FactsAdmin(_ModelAdmin):
    """Pages of rows that only the server writes: list, search, look at one."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_select_related: ClassVar[tuple[str, ...]] = ("application",)
    # An order that no index gives would sort the whole table.
    sortable_by = ()
    actions: tuple[str, ...] | None = None

    @admin.display(description="application")
    def tenant(self, row: Any) -> str:
        """Return the name of the row's application."""
        return str(row.application.name)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds facts here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes facts here: servers remember them, and clients were told."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes facts here."""
        return False


def date_of(at_ms: int | None) -> str:
    """Write an instant of the wire for people."""
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"

"""Conversations and their members, for people who help users."""

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from conversations.models import Block, Conversation, Member, MemberInfo, Silence, Subscription
from imcore.dashboard import FactsAdmin, date_of
from imcore.models import Application

if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[Member, Conversation]
else:
    # Django's own class takes no type arguments while running.
    _TabularInline = admin.TabularInline


class MembersInline(_TabularInline):
    """The members, in the order they joined, and how far each has read."""

    model = Member
    fields = ("client_id", "joined", "is_muted", "delivered_up_to", "read_up_to")
    readonly_fields = ("joined", "delivered_up_to", "read_up_to")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody joins here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes here."""
        return False

    @admin.display(description="joined")
    def joined(self, member: Member) -> str:
        """Return when the client became a member."""
        return date_of(member.joined_ms)

    @admin.display(description="delivered up to message")
    def delivered_up_to(self, member: Member) -> int:
        """Return the number of the last message the client has received."""
        return member.ack_seq

    @admin.display(description="read up to message")
    def read_up_to(self, member: Member) -> int:
        """Return the number of the last message the client has read."""
        return member.read_seq


@admin.register(Conversation)
class ConversationAdmin(FactsAdmin):
    """Newest first; found by id, creator or member."""

    list_display = ("object_id", "name", "kind", "creator", "member_count", "last_activity", "created", "tenant")
    list_filter = ("kind", "application")
    search_fields = ("object_id",)
    search_help_text = "The exact id of a conversation, or the client id of its creator or a member."
    inlines = (MembersInline,)
    fields = (
        "object_id", "application", "kind", "creator", "attributes_as_json", "is_unique", "unique_id", "member_count",
        "messages", "last_activity", "created", "updated", "ttl_seconds", "expires",
    )  # fmt: skip
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole ids, never parts of them: that would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        joined = Member.objects.filter(client_id=term).values("conversation_id")
        return queryset.filter(Q(object_id=term) | Q(creator=term) | Q(pk__in=joined)), False

    @admin.display(description="name")
    def name(self, conversation: Conversation) -> str:
        """Return the name that clients gave it."""
        return str(conversation.attributes.get("name") or "")

    @admin.display(description="last activity")
    def last_activity(self, conversation: Conversation) -> str:
        """Return the time of the last message."""
        return date_of(conversation.last_message_ms)

    @admin.display(description="created")
    def created(self, conversation: Conversation) -> str:
        """Return when it was started."""
        return date_of(conversation.created_ms)

    @admin.display(description="updated")
    def updated(self, conversation: Conversation) -> str:
        """Return when its members or attributes last changed."""
        return date_of(conversation.updated_ms)

    @admin.display(description="expires")
    def expires(self, conversation: Conversation) -> str:
        """Return when a temporary one ends."""
        return date_of(conversation.expires_ms)

    @admin.display(description="messages")
    def messages(self, conversation: Conversation) -> int:
        """Return how many messages were ever stored in it."""
        return conversation.last_seq

    @admin.display(description="attributes")
    def attributes_as_json(self, conversation: Conversation) -> str:
        """Return the attributes as readable JSON."""
        return format_html("<pre>{}</pre>", json.dumps(conversation.attributes, indent=2, ensure_ascii=False))


class ListedAdmin(FactsAdmin):
    """Clients on one of the lists beside the members, the newest first; found by conversation or client.

    Pages of their own, because such a list may be ten thousand long.
    """

    list_filter: ClassVar[tuple[str, ...]] = ("application",)
    list_select_related: ClassVar[tuple[str, ...]] = ("application", "conversation")
    ordering = ("-id",)
    search_fields = ("client_id",)
    search_help_text = (
        "Exact ids, separated by blanks: of a conversation, of a client. "
        "In a large installation give the conversation along with the client: it is much faster."
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole ids, every word of the search."""
        # Named, the applications let the indexes serve that begin with them.
        applications = Application.objects.all()
        for term in search_term.split():
            numbers = list(
                Conversation.objects.filter(application__in=applications, object_id=term).values_list("pk", flat=True)
            )
            if numbers:
                queryset = queryset.filter(conversation_id__in=numbers)
            else:
                queryset = queryset.filter(application__in=applications, client_id=term)
        return queryset, False

    @admin.display(description="since")
    def since(self, row: Silence | Block | MemberInfo) -> str:
        """Return when the client came onto the list."""
        return date_of(row.created_ms)


@admin.register(Silence)
class SilenceAdmin(ListedAdmin):
    """Who may read and not send."""

    list_display = ("client_id", "conversation", "until", "since", "tenant")
    fields = ("client_id", "conversation", "application", "until", "since")
    readonly_fields = fields

    @admin.display(description="until")
    def until(self, silence: Silence) -> str:
        """Return when it ends by itself."""
        return date_of(silence.until_ms) or "lifted"


@admin.register(Block)
class BlockAdmin(ListedAdmin):
    """Who may not be where, and who does not want to be."""

    list_display = ("client_id", "conversation", "is_by_client", "since", "tenant")
    list_filter = ("is_by_client", "application")
    fields = ("client_id", "conversation", "application", "is_by_client", "since")
    readonly_fields = fields


@admin.register(MemberInfo)
class MemberInfoAdmin(ListedAdmin):
    """Who has which role. Who is not here is a Member, or the creator."""

    list_display = ("client_id", "conversation", "role", "since", "tenant")
    list_filter = ("role", "application")
    fields = ("client_id", "conversation", "application", "role", "info_id", "since", "changed")
    readonly_fields = fields

    @admin.display(description="changed")
    def changed(self, info: MemberInfo) -> str:
        """Return when the role was last given."""
        return date_of(info.updated_ms)


@admin.register(Subscription)
class SubscriptionAdmin(ListedAdmin):
    """Who follows which system conversation."""

    list_display = ("client_id", "conversation", "is_muted", "followed", "tenant")
    fields = ("client_id", "conversation", "application", "is_muted", "followed")
    readonly_fields = fields

    @admin.display(description="since")
    def followed(self, subscription: Subscription) -> str:
        """Return when the client subscribed."""
        return date_of(subscription.subscribed_ms)

"""Messages, and the devices that clients sign in from, for people who help users."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from conversations.services import naming
from imcore.bridge import in_async
from imcore.dashboard import COUNTED_MAX, FactsAdmin, date_of
from messaging.models import Device, Message, SysMessage
from messaging.services import sessions

PREVIEW_CHARACTERS = 80

Written = Message | SysMessage

if TYPE_CHECKING:

    class ShownMessage(Message):
        """A message with the id of its conversation."""

        conversation_wire_id: str

        class Meta:
            abstract = True
else:
    ShownMessage = Message


class MessageList(ChangeList):
    """A page of messages that knows the ids of their conversations: one query for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        """Fetch the page."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        _name_conversations(self.result_list)


class WrittenAdmin(FactsAdmin):
    """What clients wrote, newest first; found by id, conversation or sender."""

    list_display = ("sent", "sender", "preview", "conversation", "tenant", "message_id")
    list_filter = ("application",)
    # Ids rise with time, so this is the order of time, by the primary key.
    ordering = ("-message_id",)
    search_fields = ("message_id",)
    search_help_text = (
        "Exact ids, separated by blanks: of a message, of a conversation, of the client that sent it. "
        "In a large installation give the conversation along with the sender: it is much faster."
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that looks conversations up in bulk."""
        return MessageList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Written | None:
        """Return one message with the id of its conversation."""
        message = super().get_object(request, object_id, from_field)
        if message is not None:
            _name_conversations([message])
        return message

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole ids, every word of the search."""
        for term in search_term.split():
            numbers = in_async(naming.numbers_of, term)
            if numbers:
                queryset = queryset.filter(conversation_id__in=numbers).order_by("-timestamp_ms")
            else:
                queryset = queryset.filter(Q(message_id=term) | Q(sender=term))
        return queryset, False

    @admin.display(description="sent")
    def sent(self, message: Written) -> str:
        """Return when the server took it."""
        return date_of(message.timestamp_ms)

    @admin.display(description="conversation")
    def conversation(self, message: ShownMessage) -> str:
        """Return the id of its conversation."""
        return message.conversation_wire_id

    @admin.display(description="message")
    def preview(self, message: Written) -> str:
        """Return the beginning of what a reader would see."""
        if message.is_binary:
            return f"binary, {len(message.data or b'')} bytes"
        text = _readable(_text(message))
        return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "…"

    @admin.display(description="body")
    def body(self, message: Written) -> str:
        """Return the whole body, a binary one as base64."""
        return base64.b64encode(message.data or b"").decode() if message.is_binary else _text(message)


@admin.register(Message)
class MessageAdmin(WrittenAdmin):
    """Messages that clients sent each other."""

    fields = (
        "message_id", "application", "conversation", "seq", "sent", "sender", "body", "is_binary", "message_type",
        "mention_all", "mention_ids", "patched", "is_recalled", "wants_receipt", "delivered", "read",
        "deduplication_token",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="last edited or recalled")
    def patched(self, message: Message) -> str:
        """Return when its author changed it."""
        return date_of(message.patch_ms)

    @admin.display(description="first delivered")
    def delivered(self, message: Message) -> str:
        """Return when another member first had it."""
        return date_of(message.ack_ms)

    @admin.display(description="first read")
    def read(self, message: Message) -> str:
        """Return when another member first read it."""
        return date_of(message.read_ms)


@admin.register(SysMessage)
class SysMessageAdmin(WrittenAdmin):
    """Messages that clients sent to system conversations, for the service."""

    fields = (
        "message_id", "application", "conversation", "sent", "sender", "sender_address", "body", "is_binary",
        "deduplication_token",
    )  # fmt: skip
    readonly_fields = fields


@admin.register(Device)
class DeviceAdmin(FactsAdmin):
    """Who has signed in from where, the last one seen first."""

    list_display = ("client_id", "tenant", "state", "tag", "identity", "user_agent", "last_seen_at")
    list_filter = ("state", "application")
    search_fields = ("client_id__exact", "identity__exact")
    search_help_text = "The exact id of a client or of a device."
    fields = (
        "client_id", "application", "identity", "tag", "state", "user_agent", "config_bitmap", "first_seen_at",
        "last_seen_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("sign_out",)

    def has_sign_out_permission(self, request: HttpRequest) -> bool:
        """Who may change devices may do the one thing there is to do to them."""
        return request.user.has_perm("messaging.change_device")

    @admin.action(description="Sign out their clients", permissions=["sign_out"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Device]) -> HttpResponse | None:
        """Sign the clients of some devices out, once that has been confirmed."""
        devices = list(queryset[:COUNTED_MAX])
        clients = {(device.application, device.client_id): device for device in devices}
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Sign out",
                "opts": self.opts,
                "clients": clients,
                "selected": [device.pk for device in devices],
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/messaging/device/sign_out.html", context)
        for (application, client_id), device in clients.items():
            in_async(
                sessions.kick, application=application.pk, client_id=client_id, reason=request.POST.get("reason", "")
            )
            self.log_change(request, device, "Signed the client out.")
        self.message_user(request, f"{len(clients)} signed out.")
        return None


def _name_conversations(messages: list[Any]) -> None:
    numbers = {message.conversation_id for message in messages}
    ids: Mapping[int, str] = in_async(naming.ids_of, numbers)
    for message in messages:
        message.conversation_wire_id = ids.get(message.conversation_id, "deleted")


def _text(message: Written) -> str:
    """Return a text body; the rare one with a NUL is kept as bytes."""
    return bytes(message.data).decode(errors="replace") if message.data is not None else message.text or ""


def _readable(text: str) -> str:
    """Return the text of a typed message, or the body as it is."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    readable = body.get("_lctext") if isinstance(body, dict) else None
    return readable if isinstance(readable, str) and readable else text

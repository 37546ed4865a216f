"""Tables of messages and of the devices that clients sign in from.

Messages refer to conversations by number, not by foreign key: the app below keeps its models to itself.
"""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from imcore import limits
from imcore.models import ApplicationSettings
from messaging.message_types import TEXT


class Message(models.Model):
    """A stored message. The row is the message: it was acknowledged after this was committed.

    `seq` is dense and `timestamp_ms` strictly increasing within a conversation; what is deleted leaves a hole. A text
    body is in `text`; a binary one in `data`, as is the rare text with a NUL, which PostgreSQL's text cannot hold.

    An edit or a recall at `patch_ms` replaces the body and mentions and nothing else; the body of a recalled message is
    RECALLED_BODY. `ack_ms` and `read_ms` are when another member first received and read it, where that is known.
    """

    message_id = models.CharField("id", max_length=22, primary_key=True)
    # Its sender's session has just been checked against this application; PostgreSQL need not, once per message.
    application = models.ForeignKey(
        "imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    conversation_id = models.BigIntegerField()
    seq = models.PositiveBigIntegerField()
    timestamp_ms = models.BigIntegerField()
    sender = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    text = models.TextField(null=True, blank=True)
    data = models.BinaryField(null=True, blank=True)
    is_binary = models.BooleanField(default=False)
    # `_lctype` of the body if it has one, for the type filter of history (realtime-protocol 4.11).
    message_type = models.IntegerField(null=True, blank=True)
    mention_ids = models.JSONField(null=True, blank=True)
    mention_all = models.BooleanField(default=False)
    wants_receipt = models.BooleanField(default=False)
    deduplication_token = models.CharField(max_length=limits.DEDUPLICATION_TOKEN_MAX_CHARACTERS, null=True, blank=True)
    is_recalled = models.BooleanField(default=False, db_default=False)
    patch_ms = models.BigIntegerField(null=True, blank=True)
    # No index has these two, so that receipts cost PostgreSQL no index entries (HOT).
    ack_ms = models.BigIntegerField(null=True, blank=True)
    read_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation_id", "seq"], name="message_seq"),
            models.UniqueConstraint(
                fields=["conversation_id", "sender", "deduplication_token"],
                name="message_deduplication",
                condition=models.Q(deduplication_token__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["conversation_id", "timestamp_ms", "seq"], name="message_timestamp"),
            # What was said in an application, and by a client (rest-api 8.8).
            models.Index(fields=["application", "timestamp_ms"], name="message_application"),
            models.Index(fields=["application", "sender", "timestamp_ms"], name="message_sender"),
            # Of the few messages that need them.
            models.Index(
                fields=["conversation_id", "patch_ms"],
                name="message_patch",
                condition=models.Q(patch_ms__isnull=False),
            ),
            models.Index(
                fields=["conversation_id", "seq"],
                name="message_mention",
                condition=models.Q(mention_ids__isnull=False) | models.Q(mention_all=True),
            ),
            models.Index(
                fields=["conversation_id", "message_type", "timestamp_ms", "seq"],
                name="message_not_text",
                condition=models.Q(message_type__lt=TEXT) | models.Q(message_type__gt=TEXT),
            ),
        ]

    def __str__(self) -> str:
        return self.message_id


class SysMessage(models.Model):
    """A message from a client to a system conversation: a row of `_SysMessage`. It is for the service alone."""

    message_id = models.CharField("id", max_length=22, primary_key=True)
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation_id = models.BigIntegerField()
    timestamp_ms = models.BigIntegerField()
    sender = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    sender_address = models.GenericIPAddressField(null=True, blank=True)
    text = models.TextField(null=True, blank=True)
    data = models.BinaryField(null=True, blank=True)
    is_binary = models.BooleanField(default=False)
    message_type = models.IntegerField(null=True, blank=True)
    deduplication_token = models.CharField(max_length=limits.DEDUPLICATION_TOKEN_MAX_CHARACTERS, null=True, blank=True)

    class Meta:
        verbose_name = "message to a service"
        verbose_name_plural = "messages to services"
        constraints = [
            models.UniqueConstraint(
                fields=["conversation_id", "sender", "deduplication_token"],
                name="sys_message_deduplication",
                condition=models.Q(deduplication_token__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["application", "timestamp_ms"], name="sys_message_application"),
            models.Index(fields=["conversation_id", "timestamp_ms"], name="sys_message_conversation"),
            # What a client finds of its own in history.
            models.Index(fields=["conversation_id", "sender", "timestamp_ms", "message_id"], name="sys_message_sender"),
        ]
        ordering = ["-timestamp_ms", "-message_id"]

    def __str__(self) -> str:
        return self.message_id


class Audience(models.IntegerChoices):
    """Whom a system conversation speaks to."""

    CLIENT = 1, "a client"
    SUBSCRIBERS = 2, "subscribers"
    EVERYBODY = 3, "everybody"


class ServiceMessage(models.Model):
    """A message from a system conversation to clients: one row for all its subscribers, or for everybody (ADR 0017).

    One to named clients, twenty at most, has a row for each, for each is edited and deleted by itself; they share id
    and time. Times strictly increase within the conversation, so marks are times.

    `number` counts the messages to everybody of an application, which come to those who log in until `valid_till_ms`.
    A deleted one keeps its place without its body, for who comes back is told that it counts no longer.
    """

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation_id = models.BigIntegerField()
    audience = models.PositiveSmallIntegerField(choices=Audience.choices)
    # Empty unless the audience is a client.
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS, blank=True, default="")
    message_id = models.CharField("id", max_length=22)
    timestamp_ms = models.BigIntegerField()
    sender = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    text = models.TextField(null=True, blank=True)
    data = models.BinaryField(null=True, blank=True)
    is_binary = models.BooleanField(default=False)
    message_type = models.IntegerField(null=True, blank=True)
    number = models.PositiveBigIntegerField(null=True, blank=True)
    valid_till_ms = models.BigIntegerField(null=True, blank=True)
    is_recalled = models.BooleanField(default=False)
    is_deleted = models.BooleanField(default=False)
    # When it was last edited, recalled or deleted.
    patch_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "message of a service"
        verbose_name_plural = "messages of services"
        constraints = [
            models.UniqueConstraint(fields=["message_id", "client_id"], name="service_message_once"),
        ]
        indexes = [
            # A client's history is three ranges of each of these, merged.
            models.Index(
                fields=["conversation_id", "audience", "client_id", "timestamp_ms", "message_id"],
                name="service_message_place",
            ),
            models.Index(
                fields=["conversation_id", "audience", "client_id", "message_type", "timestamp_ms", "message_id"],
                name="service_message_type",
                condition=models.Q(message_type__isnull=False),
            ),
            models.Index(
                fields=["conversation_id", "audience", "client_id", "patch_ms"],
                name="service_message_patch",
                condition=models.Q(patch_ms__isnull=False),
            ),
            models.Index(
                fields=["application", "valid_till_ms"],
                name="service_message_valid",
                condition=models.Q(valid_till_ms__isnull=False),
            ),
            models.Index(fields=["application", "timestamp_ms"], name="service_message_application"),
        ]
        ordering = ["-timestamp_ms", "-id"]

    def __str__(self) -> str:
        return self.message_id


class WithheldMessage(models.Model):
    """A message to all subscribers that was deleted for one of them."""

    message = models.ForeignKey(ServiceMessage, on_delete=models.CASCADE, related_name="+")
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client_id", "message"], name="withheld_message_once")]

    def __str__(self) -> str:
        return f"{self.message_id} from {self.client_id}"


class ServiceMark(models.Model):
    """Up to which time a client has read a system conversation, and up to which it was handed its messages.

    The latter is kept for clients that are told messages instead of counts. `changed_ms`: when its count was last
    changed by something else than a message. `log_id`: of the log of what was said to it, if it was spoken to by name.
    """

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    conversation_id = models.BigIntegerField()
    read_ms = models.BigIntegerField(default=0)
    ack_ms = models.BigIntegerField(default=0)
    changed_ms = models.BigIntegerField(default=0)
    log_id = models.CharField(max_length=32, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "client_id", "conversation_id"], name="service_mark_once")
        ]
        indexes = [
            models.Index(fields=["conversation_id"], name="service_mark_conversation"),
            models.Index(
                fields=["application", "log_id"],
                name="service_mark_log",
                condition=models.Q(log_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.client_id


class ServiceUse(models.Model):
    """That an application speaks through system conversations, since when, and how often it spoke to everybody.

    Without this row, whoever logs in need not ask for what they have said.
    """

    application = models.OneToOneField(
        "imcore.Application", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    began_ms = models.BigIntegerField()
    last_number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"since {self.began_ms}"


class BroadcastMark(models.Model):
    """That a client has been here while its application spoke to everybody: it gets what has a higher number."""

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    after_number = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "client_id"], name="broadcast_mark_once")]

    def __str__(self) -> str:
        return self.client_id


class DeviceState(models.TextChoices):
    """Whether a device's session tokens still open the door, and if not, which answer they get."""

    SIGNED_IN = "signed in"
    CLOSED = "closed"
    KICKED = "kicked"  # by another device with its tag
    SIGNED_OUT = "signed out"  # by the application


class Device(models.Model):
    """One device that a client id has signed in from: the record behind its session tokens.

    A re-open may bring nothing but its token (realtime-protocol 4.1.1), so tag, identity and capabilities are kept
    here. Closing raises `generation`, which voids every token issued before. `session_key` is that of the session it
    opened last.
    """

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    identity = models.CharField(
        max_length=64, help_text="deviceId, else deviceToken, as the client sent it; long ones as a digest."
    )
    tag = models.CharField(max_length=64, blank=True)
    config_bitmap = models.BigIntegerField(default=0)
    state = models.CharField(max_length=16, choices=DeviceState.choices, default=DeviceState.SIGNED_IN)
    generation = models.PositiveIntegerField(default=1)
    user_agent = models.CharField(max_length=200, blank=True)
    session_key = models.CharField(max_length=24, blank=True, default="", db_default="", editable=False)
    first_seen_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "client_id", "identity"], name="device_once"),
        ]
        indexes = [
            # With what tells how many clients an application saw since a time, so that the index alone answers it.
            models.Index(fields=["last_seen_at", "application", "client_id"], name="device_last_seen"),
        ]
        ordering = ["-last_seen_at", "-id"]

    def __str__(self) -> str:
        return f"{self.client_id} on {self.identity}"


class Kick(models.Model):
    """When an application last signed a client out: login signatures older than that are void (realtime-protocol 9).

    Those of any client, for it may have one and never have come yet. Kept as long as signatures last.
    """

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    kicked_ms = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "client_id"], name="kick_once")]
        indexes = [models.Index(fields=["kicked_ms"], name="kick_age")]

    def __str__(self) -> str:
        return self.client_id


class Will(models.Model):
    """What is to be said in a client's name when it is lost without signing out: one per client, the newest.

    It goes with the device that left it: its session's loss delivers it, unless the device has come back meanwhile
    (`Device.session_key`).
    """

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    conversation_id = models.CharField(max_length=limits.CONVERSATION_ID_MAX_CHARACTERS)
    message_id = models.CharField("id", max_length=22)
    text = models.TextField(null=True, blank=True)
    data = models.BinaryField(null=True, blank=True)
    is_binary = models.BooleanField(default=False)
    mention_ids = models.JSONField(null=True, blank=True)
    mention_all = models.BooleanField(default=False)
    created_ms = models.BigIntegerField(editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "client_id"], name="will_once")]

    def __str__(self) -> str:
        return self.client_id


class MessagingSettings(ApplicationSettings):
    """What an application chooses about its messages and sessions."""

    message_max_bytes = models.PositiveIntegerField(
        default=limits.MESSAGE_MAX_BYTES,
        validators=[MinValueValidator(1), MaxValueValidator(128 * 1024)],
        help_text="Body and push data together; a longer message fails with 4109. The Swift and Objective-C SDKs "
        "refuse more than 5120 bytes by themselves.",
    )
    session_token_seconds = models.PositiveIntegerField(
        default=7 * 86_400,
        validators=[MinValueValidator(60), MaxValueValidator(365 * 86_400)],
        help_text="Life of a session token: how long a client may stay away and come back without a login signature.",
    )

    sign_login = models.BooleanField(
        default=False,
        help_text="Logging in needs a signature of your server; else 4102. Strongly recommended: without it anybody "
        "who knows the App Key can be any client.",
    )
    sign_history = models.BooleanField(
        default=False, help_text="Clients read history over HTTP with the App Key and a signature of your server."
    )
    history_with_app_key = models.BooleanField(
        default=False, help_text="For old apps: who knows the App Key reads all by /1.1/rtm/messages/history and logs."
    )
    edit_enabled = models.BooleanField(
        default=False, help_text="Allow editing messages with SDK: authors change what they wrote. Off: 4406."
    )
    recall_enabled = models.BooleanField(
        default=False, help_text="Allow recalling messages with SDK: authors take back what they wrote. Off: 4407."
    )
    patch_window_minutes = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(60 * 24 * 3650)],
        help_text="How old a message may be that its author edits or recalls; older ones get 4406 or 4407. 0: any age.",
    )
    receipts_members_max = models.PositiveIntegerField(
        default=limits.RECEIPTS_MEMBERS_MAX,
        validators=[MaxValueValidator(limits.MEMBERS_MAX)],
        help_text="Delivery and read receipts are sent in conversations of at most so many members; in those of more "
        "than two, only to clients that declare to understand them (configBitmap, bit 6).",
    )
    unread_conversations_max = models.PositiveIntegerField(
        default=limits.UNREAD_CONVERSATIONS_MAX,
        validators=[MinValueValidator(1), MaxValueValidator(500)],
        help_text="Of how many conversations with unread messages, the most recent ones, a client is told when it "
        "logs in.",
    )
    offline_messages_max = models.PositiveIntegerField(
        default=limits.OFFLINE_MESSAGES_MAX,
        validators=[MinValueValidator(1), MaxValueValidator(limits.UNREAD_MAX)],
        help_text="How many messages of each of these conversations are pushed at log-in to old clients that want "
        "messages instead of counts (subprotocols that end in .1).",
    )
    reopen_evicts = models.BooleanField(
        default=False,
        help_text="For apps on iOS SDKs of 2015 to 2017: an automatic log-in with a tag that another device holds "
        "evicts that one, unless this device was itself evicted before. Off: it is refused with 4111.",
    )
    message_retention_days = models.PositiveIntegerField(
        default=180,
        validators=[MaxValueValidator(36_500)],
        help_text="Messages older than this are deleted, as LeanCloud did. 0: never. manage.py apply_retention "
        "--dry-run tells beforehand.",
    )

    class Meta:
        verbose_name = "Messages and sessions"
        verbose_name_plural = "Messages and sessions"

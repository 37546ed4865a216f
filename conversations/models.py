"""Tables of `_Conversation`: who may talk where.

Instants are stored as the wire knows them, in milliseconds since the epoch (`…_ms`), because they are compared with
what clients hold.
"""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from conversations.policy import Kind, Role
from imcore import limits
from imcore.models import ApplicationSettings

HOUR_MS = 3_600_000


class Conversation(models.Model):
    """A conversation, and the two numbers that order its messages.

    `last_seq` is dense (1, 2, 3 …) and `last_message_ms` strictly increases; both advance only under this row's lock,
    in the transaction that stores the messages (`storage/positions.py`). `members_version` rises with every change of
    membership, which is how a server that remembers the members finds out, in that same transaction, that it must
    look again.
    """

    # Each foreign key here begins an index of its own below; Django's would be one more to write.
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    object_id = models.CharField("id", max_length=limits.CONVERSATION_ID_MAX_CHARACTERS)
    kind = models.PositiveSmallIntegerField(choices=Kind.choices, default=Kind.NORMAL)
    creator = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS, blank=True)
    attributes = models.JSONField(
        default=dict, blank=True, help_text="Top-level keys as clients set them, `name` included."
    )
    is_unique = models.BooleanField(default=False)
    unique_id = models.CharField(max_length=32, null=True, blank=True, editable=False)
    # Digest of the exact member set, while this conversation is the one that `unique` finds (realtime-protocol 4.2).
    # `unique_id` cannot carry the constraint: the protocol's concatenation is ambiguous.
    unique_key = models.CharField(max_length=64, null=True, blank=True, editable=False)
    member_count = models.PositiveIntegerField(default=0, editable=False)
    # Rises with every change of who stands how here: members, roles, silences, blocks.
    members_version = models.PositiveBigIntegerField(default=1, editable=False)
    # Rises with every change of the attributes that members are told of, so that they hear of them in order.
    attributes_version = models.PositiveBigIntegerField(default=1, editable=False)
    # A role was given here once: from then on the owner cannot leave (realtime-protocol 4.7).
    has_roles = models.BooleanField(default=False, editable=False)
    # Whether the lists have entries, so that loading a conversation asks for them only where there are any.
    has_silenced = models.BooleanField(default=False, editable=False)
    has_blocked = models.BooleanField(default=False, editable=False)
    last_seq = models.PositiveBigIntegerField(default=0, editable=False)
    last_message_ms = models.BigIntegerField(null=True, blank=True, editable=False)
    # `last_message_ms` in whole hours, which an index can bear: it changes once an hour, not with every message. Who
    # writes the one writes the other: queries trust that (`storage/where_compiling.py`).
    last_message_hour = models.IntegerField(null=True, blank=True, editable=False)
    # The newest message that mentions everybody, who sent it, and the newest by somebody else: for the former the
    # latter counts, since nobody mentions himself.
    mention_all_seq = models.PositiveBigIntegerField(default=0, editable=False)
    mention_all_sender = models.CharField(
        max_length=limits.CLIENT_ID_MAX_CHARACTERS, blank=True, default="", db_default="", editable=False
    )
    mention_all_seq_before = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    created_ms = models.BigIntegerField(editable=False)
    updated_ms = models.BigIntegerField(editable=False)
    ttl_seconds = models.PositiveIntegerField(null=True, blank=True, help_text="Temporary conversations only.")
    expires_ms = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "object_id"], name="conversation_object_id"),
            models.UniqueConstraint(fields=["application", "kind", "unique_key"], name="conversation_unique_key"),
        ]
        indexes = [
            # None on last_message_ms: every message moves it, and would then have to write all these indexes anew.
            # On PostgreSQL with what has no message first (migration 0007), as queries sort it.
            models.Index(fields=["application", "last_message_hour"], name="conversation_active"),
            models.Index(fields=["application", "updated_ms"], name="conversation_updated"),
            models.Index(
                fields=["expires_ms"], name="conversation_expires", condition=models.Q(expires_ms__isnull=False)
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.object_id

    def mention_all_seq_for(self, client_id: str) -> int:
        """Return the seq of the newest message in which somebody else than this client mentions everybody, or 0."""
        return self.mention_all_seq_before if client_id == self.mention_all_sender else self.mention_all_seq


class Member(models.Model):
    """One client in one conversation, with the marks that unread is computed from (architecture 3.12).

    `unread = last_seq - read_seq - own_since_read`, and *mentioned* is `max(mentioned_seq, mention_all_seq_for) >
    read_seq`. So a send touches one member row, the sender's, however many members there are.

    `own_since_read` counts what lies behind the read mark and is not unread: one's own messages, and recalled and
    deleted ones.
    `read_ms` and `ack_ms` are the timestamps of the messages at the marks, once the client has moved them itself;
    `unread_changed_ms` is when its unread count was last changed by something else than a new message.
    """

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="members", db_index=False)
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    is_muted = models.BooleanField(default=False, help_text="This client gets no offline push from the conversation.")
    joined_ms = models.BigIntegerField()
    read_seq = models.PositiveBigIntegerField(default=0)
    ack_seq = models.PositiveBigIntegerField(default=0)
    own_since_read = models.PositiveBigIntegerField(default=0)
    mentioned_seq = models.PositiveBigIntegerField(default=0)
    read_ms = models.BigIntegerField(null=True, blank=True)
    ack_ms = models.BigIntegerField(null=True, blank=True)
    unread_changed_ms = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "client_id"], name="member_once")]
        indexes = [models.Index(fields=["application", "client_id", "conversation"], name="member_client")]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.client_id


class MemberInfo(models.Model):
    """The role of one member: a row of `_ConversationMemberInfo`. Who has none is a Member, the creator the Owner."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+", db_index=False)
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    info_id = models.CharField("id", max_length=24)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    role = models.CharField(max_length=8, choices=Role.choices)
    created_ms = models.BigIntegerField(editable=False)
    updated_ms = models.BigIntegerField(editable=False)

    class Meta:
        verbose_name = "role"
        verbose_name_plural = "roles"
        constraints = [
            models.UniqueConstraint(fields=["conversation", "client_id"], name="member_info_once"),
            models.UniqueConstraint(fields=["application", "info_id"], name="member_info_id"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.client_id}: {self.role}"


class Silence(models.Model):
    """A client that may read and not send. The row's number is its place in the paged list."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+", db_index=False)
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    until_ms = models.BigIntegerField(null=True, blank=True, help_text="Empty: until it is lifted.")
    created_ms = models.BigIntegerField(editable=False)

    class Meta:
        verbose_name = "silenced client"
        verbose_name_plural = "silenced clients"
        constraints = [models.UniqueConstraint(fields=["conversation", "client_id"], name="silence_once")]
        indexes = [
            models.Index(fields=["conversation", "id"], name="silence_page"),
            models.Index(fields=["application"], name="silence_application"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.client_id


class Block(models.Model):
    """A client that may not be in a conversation. `is_by_client`: because it does not want to be pulled into it.

    The row's number is its place in the paged lists.
    """

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+", db_index=False)
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    is_by_client = models.BooleanField(default=False)
    created_ms = models.BigIntegerField(editable=False)

    class Meta:
        verbose_name = "blocked client"
        verbose_name_plural = "blocked clients"
        constraints = [models.UniqueConstraint(fields=["conversation", "client_id", "is_by_client"], name="block_once")]
        indexes = [
            models.Index(fields=["conversation", "is_by_client", "id"], name="block_page"),
            models.Index(fields=["application", "client_id", "is_by_client", "id"], name="block_client"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.client_id


class Subscription(models.Model):
    """A client that follows a system conversation. What was sent up to `from_ms` is history to it, never unread."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+", db_index=False)
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    is_muted = models.BooleanField(default=False, help_text="This client gets no offline push from it.")
    subscribed_ms = models.BigIntegerField(editable=False)
    # By the conversation's own times, not a server's clock: of the same millisecond they are not.
    from_ms = models.BigIntegerField(default=0, db_default=0, editable=False)
    # By which the application finds what was said to this client (rest-api 9). Not unique: MD5s can be made to collide.
    log_id = models.CharField(max_length=32, null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "client_id"], name="subscription_once")]
        indexes = [
            models.Index(fields=["conversation", "id"], name="subscription_page"),
            models.Index(fields=["application", "client_id", "conversation"], name="subscription_client"),
            models.Index(fields=["application", "log_id"], name="subscription_log"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.client_id


class RoomSeat(models.Model):
    """Which chat room a device is in, or may come back to: being there is not kept, coming back is.

    `device` is the number that session tokens name, `client_id` who is blocked when it is. `until_ms` is set when its
    connection is lost; it stays empty while it is there, and when its server died before it could say so.
    `taken_ms` tells one stay from the next.
    """

    device = models.BigIntegerField(primary_key=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS)
    until_ms = models.BigIntegerField(null=True, blank=True)
    taken_ms = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["conversation", "client_id"], name="room_seat_client"),
            models.Index(fields=["until_ms"], name="room_seat_until"),
            models.Index(fields=["taken_ms"], name="room_seat_taken"),
        ]

    def __str__(self) -> str:
        return f"device {self.device}"


class KeptNotice(models.Model):
    """A notice for those who were away when it was sent (realtime-protocol 10.3).

    With `client_id`, it concerns that client alone ("permanent"); without, all members of its conversation
    ("droppable"). So a change costs as many rows as clients it is about, however many members hear of it. `op` is that
    of a `conv` command; `rcp` stands for the command of this name, a receipt, which has none.
    """

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.CharField(max_length=limits.CLIENT_ID_MAX_CHARACTERS, blank=True)
    at_ms = models.BigIntegerField()
    op = models.CharField(max_length=24)
    fields = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(
                fields=["application", "client_id", "at_ms"],
                name="kept_notice_client",
                condition=~models.Q(client_id=""),
            ),
            models.Index(fields=["conversation", "at_ms"], name="kept_notice_conversation"),
            models.Index(fields=["application", "at_ms"], name="kept_notice_age"),
        ]
        ordering = ["at_ms", "id"]

    def __str__(self) -> str:
        return self.op


class DeletedConversation(models.Model):
    """An id that was a conversation's. Sends to it get 4401, not 4303 (limits-settings-conflicts 4)."""

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    object_id = models.CharField("id", max_length=limits.CONVERSATION_ID_MAX_CHARACTERS)
    deleted_ms = models.BigIntegerField()
    # What its messages go by, until they are deleted, too. Temporary conversations are here for only so long.
    number = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "object_id"], name="deleted_conversation_once")]
        indexes = [
            models.Index(
                fields=["number"], name="deleted_conversation_number", condition=models.Q(number__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.object_id


class ConversationSettings(ApplicationSettings):
    """What an application chooses about its conversations. Switches have LeanCloud's names in their help texts."""

    roles_enabled = models.BooleanField(
        default=False,
        help_text="Permission management: the creator is Owner and gives members the role Manager; only these remove, "
        "silence and block. Off: all members may remove each other; roles and silences are refused with 4325.",
    )
    managers_change_roles = models.BooleanField(
        default=False, help_text="Managers, too, may change the role of a Member. Off: the Owner only."
    )
    block_lists_enabled = models.BooleanField(
        default=False, help_text="Block lists of conversations. Off: they are refused with 4544."
    )
    sign_conversations = models.BooleanField(
        default=False,
        help_text="Creating, joining, inviting and removing need a signature of your server; else 4302.",
    )
    sign_block_lists = models.BooleanField(
        default=False, help_text="Blocking and unblocking need a signature of your server; else 4546."
    )

    rest_open_create = models.BooleanField(
        default=False, help_text="Over REST, the App Key is enough to create conversations. Off: the Master Key only."
    )
    rest_open_find = models.BooleanField(
        default=False,
        help_text="Over REST, the App Key is enough to list and read everybody's conversations, members included.",
    )
    rest_open_update = models.BooleanField(
        default=False, help_text="Over REST, the App Key is enough to rename and change conversations."
    )
    rest_open_delete = models.BooleanField(
        default=False, help_text="Over REST, the App Key is enough to delete conversations."
    )

    members_max = models.PositiveIntegerField(
        default=limits.MEMBERS_MAX,
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text="Members of a normal conversation; adding more fails with 4304.",
    )
    temporary_ttl_default_seconds = models.PositiveIntegerField(
        default=limits.TEMPORARY_TTL_DEFAULT_SECONDS,
        validators=[MinValueValidator(1), MaxValueValidator(limits.TEMPORARY_TTL_MAX_SECONDS)],
        help_text="Life of a temporary conversation whose creator asks for none.",
    )
    temporary_ttl_max_seconds = models.PositiveIntegerField(
        default=limits.TEMPORARY_TTL_MAX_SECONDS,
        validators=[MinValueValidator(1), MaxValueValidator(limits.TEMPORARY_TTL_MAX_SECONDS)],
        help_text="Longest life a temporary conversation may ask for; longer wishes are cut to it.",
    )

    attributes_max_bytes = models.PositiveIntegerField(
        default=limits.ATTRIBUTES_MAX_BYTES,
        validators=[MinValueValidator(100), MaxValueValidator(1024 * 1024)],
        help_text="All attributes of a conversation together, as JSON. Every member is sent them when they change.",
    )
    chat_room_rejoin_minutes = models.PositiveIntegerField(
        default=limits.ROOM_REJOIN_MINUTES,
        validators=[MaxValueValidator(24 * 60)],
        help_text="How long a client that lost its connection may take to come back into its chat room by itself.",
    )
    notices_kept_days = models.PositiveIntegerField(
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(90)],
        help_text="How long those who are away find out, when they return, who was added and what was changed.",
    )
    inactive_conversation_days = models.PositiveIntegerField(
        default=180,
        validators=[MaxValueValidator(36_500)],
        help_text="A normal conversation without a message or change for so long is deleted with its messages, as "
        "LeanCloud did; sends to it then get 4401. 0: never. manage.py apply_retention --dry-run tells beforehand.",
    )

    class Meta:
        verbose_name = "Conversations"
        verbose_name_plural = "Conversations"

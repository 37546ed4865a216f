"""Tables of `_Conversation`: who may talk where.

Instants are stored as the wire knows them, in milliseconds since the epoch (`…_ms`), because they are compared with
what clients hold.
"""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from conversations.policy import Kind
from imcore import limits
from imcore.models import ApplicationSettings


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
    members_version = models.PositiveBigIntegerField(default=1, editable=False)
    last_seq = models.PositiveBigIntegerField(default=0, editable=False)
    last_message_ms = models.BigIntegerField(null=True, blank=True, editable=False)
    mention_all_seq = models.PositiveBigIntegerField(default=0, editable=False)
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
            models.Index(fields=["application", "updated_ms"], name="conversation_updated"),
            models.Index(
                fields=["expires_ms"], name="conversation_expires", condition=models.Q(expires_ms__isnull=False)
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.object_id


class Member(models.Model):
    """One client in one conversation, with the marks that unread is computed from (architecture 3.12).

    `unread = last_seq - read_seq - own_since_read`, and *mentioned* is `max(mentioned_seq, mention_all_seq) >
    read_seq`. So a send touches one member row, the sender's, however many members there are.
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

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "client_id"], name="member_once")]
        indexes = [models.Index(fields=["application", "client_id", "conversation"], name="member_client")]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.client_id


class ConversationSettings(ApplicationSettings):
    """What an application chooses about its conversations."""

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

    class Meta:
        verbose_name = "Conversations"
        verbose_name_plural = "Conversations"

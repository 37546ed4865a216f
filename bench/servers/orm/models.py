"""The two tables that a message touches."""

from django.db import models


class Conversation(models.Model):  # noqa: DJ008 - nobody looks at one
    """Two people's conversation."""

    members = models.JSONField(default=list)
    last_message_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "orm"


class Message(models.Model):  # noqa: DJ008
    """One message."""

    conversation = models.ForeignKey(Conversation, models.CASCADE)
    sender = models.CharField(max_length=64)
    body = models.TextField()
    sent_at = models.DateTimeField()

    class Meta:
        app_label = "orm"
        indexes = (models.Index(fields=["conversation", "sent_at"]),)

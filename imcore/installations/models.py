"""Tables of `_Installation`. Instants are in milliseconds since the epoch (`…_ms`), as in the other tables."""

from django.core.validators import MaxValueValidator
from django.db import models

from imcore import limits
from imcore.attributes import ColumnDecoder
from imcore.models import ApplicationSettings

_TEXT = limits.INSTALLATION_TEXT_MAX_CHARACTERS


class Installation(models.Model):
    """An app on a device. `attributes` are the developer's own columns; `is_valid`: it can be pushed to."""

    # Each index below begins with it; Django's would be one more to write.
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    object_id = models.CharField("id", max_length=limits.OBJECT_ID_MAX_CHARACTERS)
    installation_id = models.CharField("installation id", max_length=_TEXT, null=True, blank=True)
    device_token = models.CharField(max_length=limits.DEVICE_TOKEN_MAX_CHARACTERS, null=True, blank=True)
    device_type = models.CharField(max_length=_TEXT, null=True, blank=True)
    device_profile = models.CharField(max_length=_TEXT, null=True, blank=True)
    apns_topic = models.CharField("APNs topic", max_length=_TEXT, null=True, blank=True)
    apns_team_id = models.CharField("APNs team id", max_length=_TEXT, null=True, blank=True)
    time_zone = models.CharField(max_length=_TEXT, null=True, blank=True)
    vendor = models.CharField(max_length=_TEXT, null=True, blank=True)
    registration_id = models.CharField(max_length=limits.DEVICE_TOKEN_MAX_CHARACTERS, null=True, blank=True)
    badge = models.BigIntegerField(null=True, blank=True)
    is_valid = models.BooleanField("valid", default=True)
    attributes = models.JSONField(default=dict, blank=True, decoder=ColumnDecoder)
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "object_id"], name="installation_object_id"),
            models.UniqueConstraint(fields=["application", "installation_id"], name="installation_once"),
        ]
        indexes = [
            models.Index(fields=["application", "device_token"], name="installation_token"),
            models.Index(fields=["application", "updated_ms"], name="installation_age"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.object_id


class Channel(models.Model):
    """A channel that an installation listens to. The row's number is its place in the list."""

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    installation = models.ForeignKey(Installation, on_delete=models.CASCADE, related_name="channels", db_index=False)
    name = models.CharField(max_length=limits.CHANNEL_MAX_CHARACTERS)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["installation", "name"], name="channel_once")]
        indexes = [models.Index(fields=["application", "name", "installation"], name="channel_name")]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class InstallationSettings(ApplicationSettings):
    """What an application chooses about its installations."""

    installations_kept_days = models.PositiveIntegerField(
        default=limits.INSTALLATION_KEPT_DAYS,
        validators=[MaxValueValidator(36_500)],
        help_text="An installation that is not written for so long is deleted: apps write theirs whenever they start. "
        "0: never.",
    )

    class Meta:
        verbose_name = "Installations"
        verbose_name_plural = "Installations"

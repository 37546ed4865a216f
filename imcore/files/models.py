"""Table of `_File`. Instants are in milliseconds since the epoch (`…_ms`), as in the other tables."""

import re

from django.core.exceptions import ValidationError
from django.db import models

from imcore import limits
from imcore.attributes import ColumnDecoder
from imcore.models import ApplicationSettings

_TYPE = re.compile(r"[\w.+*-]+/[\w.+*-]+", re.ASCII)


class File(models.Model):
    """A file that was uploaded, is about to be, or lies elsewhere.

    One without application is to be deleted, bytes first: that of an application that is gone, or deleted itself.
    """

    # The constraint below begins with it; Django's index would be one more to write.
    application = models.ForeignKey(
        "imcore.Application", on_delete=models.SET_NULL, related_name="+", db_index=False, null=True
    )
    object_id = models.CharField("id", max_length=limits.OBJECT_ID_MAX_CHARACTERS)
    key = models.CharField(
        max_length=limits.FILE_KEY_MAX_CHARACTERS, unique=True, null=True, blank=True, help_text="Where the bytes are."
    )
    url = models.TextField("URL", blank=True, help_text="Where a file is that is not here.")
    name = models.CharField(max_length=limits.FILE_NAME_MAX_CHARACTERS)
    mime_type = models.CharField("MIME type", max_length=limits.MIME_TYPE_MAX_CHARACTERS)
    metadata = models.JSONField("metaData", default=dict, blank=True, decoder=ColumnDecoder)
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes.")
    digest = models.CharField(max_length=100, blank=True)
    owner_id = models.CharField("owner", max_length=limits.OBJECT_ID_MAX_CHARACTERS, blank=True)
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    arrived_ms = models.BigIntegerField("bytes", null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "object_id"], name="file_object_id")]
        indexes = [
            models.Index(
                fields=["application", "id"], name="file_pending", condition=models.Q(arrived_ms__isnull=True)
            ),
            models.Index(fields=["id"], name="file_given_up", condition=models.Q(application__isnull=True)),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


def validate_types(value: str) -> None:
    """Refuse a list of MIME types with an item that is none."""
    for one in types_in(value):
        if not _TYPE.fullmatch(one):
            raise ValidationError(f"{one!r} is not a MIME type; write image/*;text/plain or !text/html")


def types_in(value: str) -> list[str]:
    """Return the types of a list, without the mark that says that these are the ones not taken."""
    return [one.strip().lower() for one in value.strip().removeprefix("!").split(";") if one.strip()]


class FileSettings(ApplicationSettings):
    """What an application chooses about its files."""

    file_max_bytes = models.PositiveBigIntegerField(
        default=limits.FILE_MAX_BYTES, help_text="The largest file that is taken, in bytes."
    )
    file_types = models.TextField(
        blank=True,
        default="",
        validators=[validate_types],
        help_text="The MIME types that are taken, such as image/*;audio/*; or, after a !, those that are not, such as "
        "!text/html;application/xml. Empty: all.",
    )
    file_provider = models.CharField(
        max_length=8,
        blank=True,
        default="",
        choices=[("", "as the SDK needs"), ("s3", "s3: one PUT"), ("qiniu", "qiniu: a form")],
        help_text="How SDKs are told to upload. Mini programs can only send forms; the others are better off with a "
        "PUT, and Java, C# and Python cannot send the form.",
    )

    class Meta:
        verbose_name = "Files"
        verbose_name_plural = "Files"

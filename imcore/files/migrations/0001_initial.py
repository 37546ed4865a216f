from typing import Any

import django.db.models.deletion
from django.db import migrations, models

import imcore.attributes
import imcore.files.models


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Sort ids by bytes on PostgreSQL too, as SQLite does: only machines write them."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE files_file ALTER COLUMN object_id TYPE varchar(64) COLLATE "C"')


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("imcore", "0003_rest"),
    ]

    operations = [
        migrations.CreateModel(
            name="FileSettings",
            fields=[
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="imcore.application",
                    ),
                ),
                (
                    "file_max_bytes",
                    models.PositiveBigIntegerField(
                        default=20971520, help_text="The largest file that is taken, in bytes."
                    ),
                ),
                (
                    "file_types",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="The MIME types that are taken, such as image/*;audio/*; or, after a !, those that are not, such as !text/html;application/xml. Empty: all.",
                        validators=[imcore.files.models.validate_types],
                    ),
                ),
                (
                    "file_provider",
                    models.CharField(
                        blank=True,
                        choices=[("", "as the SDK needs"), ("s3", "s3: one PUT"), ("qiniu", "qiniu: a form")],
                        default="",
                        help_text="How SDKs are told to upload. Mini programs can only send forms; the others are better off with a PUT, and Java, C# and Python cannot send the form.",
                        max_length=8,
                    ),
                ),
            ],
            options={
                "verbose_name": "Files",
                "verbose_name_plural": "Files",
            },
        ),
        migrations.CreateModel(
            name="File",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_id", models.CharField(max_length=64, verbose_name="id")),
                (
                    "key",
                    models.CharField(
                        blank=True, help_text="Where the bytes are.", max_length=160, null=True, unique=True
                    ),
                ),
                (
                    "url",
                    models.TextField(blank=True, help_text="Where a file is that is not here.", verbose_name="URL"),
                ),
                ("name", models.CharField(max_length=255)),
                ("mime_type", models.CharField(max_length=127, verbose_name="MIME type")),
                (
                    "metadata",
                    models.JSONField(
                        blank=True, decoder=imcore.attributes.ColumnDecoder, default=dict, verbose_name="metaData"
                    ),
                ),
                ("size", models.BigIntegerField(blank=True, help_text="Bytes.", null=True)),
                ("digest", models.CharField(blank=True, max_length=100)),
                ("owner_id", models.CharField(blank=True, max_length=64, verbose_name="owner")),
                ("created_ms", models.BigIntegerField()),
                ("updated_ms", models.BigIntegerField()),
                ("arrived_ms", models.BigIntegerField(blank=True, null=True, verbose_name="bytes")),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="imcore.application",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("arrived_ms__isnull", True)),
                        fields=["application", "id"],
                        name="file_pending",
                    ),
                    models.Index(
                        condition=models.Q(("application__isnull", True)), fields=["id"], name="file_given_up"
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("application", "object_id"), name="file_object_id")],
            },
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
    ]

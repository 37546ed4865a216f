from typing import Any

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import imcore.attributes


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Sort ids by bytes on PostgreSQL too, as SQLite does: only machines write them."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            'ALTER TABLE installations_installation ALTER COLUMN object_id TYPE varchar(64) COLLATE "C"'
        )


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("imcore", "0003_rest"),
    ]

    operations = [
        migrations.CreateModel(
            name="InstallationSettings",
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
                    "installations_kept_days",
                    models.PositiveIntegerField(
                        default=90,
                        help_text="An installation that is not written for so long is deleted: apps write theirs whenever they start. 0: never.",
                        validators=[django.core.validators.MaxValueValidator(36500)],
                    ),
                ),
            ],
            options={
                "verbose_name": "Installations",
                "verbose_name_plural": "Installations",
            },
        ),
        migrations.CreateModel(
            name="Installation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_id", models.CharField(max_length=64, verbose_name="id")),
                (
                    "installation_id",
                    models.CharField(blank=True, max_length=128, null=True, verbose_name="installation id"),
                ),
                ("device_token", models.CharField(blank=True, max_length=512, null=True)),
                ("device_type", models.CharField(blank=True, max_length=128, null=True)),
                ("device_profile", models.CharField(blank=True, max_length=128, null=True)),
                ("apns_topic", models.CharField(blank=True, max_length=128, null=True, verbose_name="APNs topic")),
                ("apns_team_id", models.CharField(blank=True, max_length=128, null=True, verbose_name="APNs team id")),
                ("time_zone", models.CharField(blank=True, max_length=128, null=True)),
                ("vendor", models.CharField(blank=True, max_length=128, null=True)),
                ("registration_id", models.CharField(blank=True, max_length=512, null=True)),
                ("badge", models.BigIntegerField(blank=True, null=True)),
                ("is_valid", models.BooleanField(default=True, verbose_name="valid")),
                ("attributes", models.JSONField(blank=True, decoder=imcore.attributes.ColumnDecoder, default=dict)),
                ("created_ms", models.BigIntegerField()),
                ("updated_ms", models.BigIntegerField()),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="imcore.application",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=128)),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="imcore.application",
                    ),
                ),
                (
                    "installation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="channels",
                        to="installations.installation",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddIndex(
            model_name="installation",
            index=models.Index(fields=["application", "device_token"], name="installation_token"),
        ),
        migrations.AddIndex(
            model_name="installation",
            index=models.Index(fields=["application", "updated_ms"], name="installation_age"),
        ),
        migrations.AddConstraint(
            model_name="installation",
            constraint=models.UniqueConstraint(fields=("application", "object_id"), name="installation_object_id"),
        ),
        migrations.AddConstraint(
            model_name="installation",
            constraint=models.UniqueConstraint(fields=("application", "installation_id"), name="installation_once"),
        ),
        migrations.AddIndex(
            model_name="channel",
            index=models.Index(fields=["application", "name", "installation"], name="channel_name"),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.UniqueConstraint(fields=("installation", "name"), name="channel_once"),
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop, elidable=False),
    ]

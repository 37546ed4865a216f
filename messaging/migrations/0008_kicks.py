"""When clients were signed out, and an index that tells how many came since a time."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Compare what only machines write by bytes, as 0002 does."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE messaging_kick ALTER COLUMN client_id TYPE varchar(64) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [
        ("imcore", "0003_rest"),
        ("messaging", "0007_service_messages"),
    ]

    operations = [
        migrations.CreateModel(
            name="Kick",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("client_id", models.CharField(max_length=64)),
                ("kicked_ms", models.BigIntegerField()),
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
        ),
        migrations.AddIndex(
            model_name="kick",
            index=models.Index(fields=["kicked_ms"], name="kick_age"),
        ),
        migrations.AddConstraint(
            model_name="kick",
            constraint=models.UniqueConstraint(fields=("application", "client_id"), name="kick_once"),
        ),
        migrations.RemoveIndex(model_name="device", name="device_last_seen"),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(fields=["last_seen_at", "application", "client_id"], name="device_last_seen"),
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
    ]

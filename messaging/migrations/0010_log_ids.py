"""The id of the log of what a system conversation says to a client, kept because it is an MD5."""

from typing import Any

from django.db import migrations, models

# Django gives SQLite this function. NULL where the conversation is gone.
FILL = """
UPDATE messaging_servicemark SET log_id = md5(
  (SELECT c.object_id FROM conversations_conversation AS c WHERE c.id = conversation_id) || ':' || client_id
)
"""


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Compare what only machines write by bytes, as 0002 does."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE messaging_servicemark ALTER COLUMN log_id TYPE varchar(32) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0011_log_ids"),
        ("messaging", "0009_history"),
    ]

    operations = [
        migrations.AddField(
            model_name="servicemark",
            name="log_id",
            field=models.CharField(blank=True, max_length=32, null=True),
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="servicemark",
            index=models.Index(
                condition=models.Q(("log_id__isnull", False)), fields=["application", "log_id"], name="service_mark_log"
            ),
        ),
    ]

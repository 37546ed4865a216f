"""The id of the log of what system conversations say to a subscriber, kept because it is an MD5."""

from typing import Any

from django.db import migrations, models

# Django gives SQLite this function. NULL where the conversation is gone.
FILL = """
UPDATE conversations_subscription SET log_id = md5(
  (SELECT c.object_id FROM conversations_conversation AS c WHERE c.id = conversation_id) || ':' || client_id
)
"""


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Compare what only machines write by bytes, as 0002 does."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE conversations_subscription ALTER COLUMN log_id TYPE varchar(32) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0010_rest_permissions"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="log_id",
            field=models.CharField(editable=False, max_length=32, null=True),
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["application", "log_id"], name="subscription_log"),
        ),
    ]

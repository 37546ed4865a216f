"""Compare what only machines write by bytes, as 0002 does; fill in the hour of the last message."""

from typing import Any

from django.db import migrations

COLUMNS = [
    ("conversations_memberinfo", "client_id", 64),
    ("conversations_memberinfo", "info_id", 24),
    ("conversations_silence", "client_id", 64),
    ("conversations_block", "client_id", 64),
    ("conversations_subscription", "client_id", 64),
    ("conversations_keptnotice", "client_id", 64),
    ("conversations_deletedconversation", "object_id", 64),
]


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column, length in COLUMNS:
        schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [("conversations", "0003_kinds_roles_and_lists")]
    operations = [
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
        migrations.RunSQL(
            "UPDATE conversations_conversation SET last_message_hour = last_message_ms / 3600000 "
            "WHERE last_message_ms IS NOT NULL",
            migrations.RunSQL.noop,
        ),
    ]

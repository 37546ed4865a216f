"""Compare what only machines write by bytes, as 0002 does."""

from typing import Any

from django.db import migrations

COLUMNS = [
    ("messaging_sysmessage", "message_id", 22),
    ("messaging_sysmessage", "sender", 64),
    ("messaging_sysmessage", "deduplication_token", 64),
]


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column, length in COLUMNS:
        schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_kinds_roles_and_lists")]
    operations = [migrations.RunPython(compare_bytes, migrations.RunPython.noop)]

"""Compare and sort what only machines write by bytes.

On PostgreSQL the database's collation would sort ids by the rules of a language: slowly, and not in the order they
were made. SQLite does so anyway.
"""

from typing import Any

from django.db import migrations

COLUMNS = [
    ("messaging_message", "message_id", 22),
    ("messaging_message", "sender", 64),
    ("messaging_message", "deduplication_token", 64),
    ("messaging_device", "client_id", 64),
    ("messaging_device", "identity", 64),
]


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column, length in COLUMNS:
        schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
    # Django adds an index for LIKE beside a primary key of text. Compared by bytes, the key itself serves that.
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            r"SELECT indexname FROM pg_indexes WHERE tablename = 'messaging_message' AND indexname ~ '_like$'"
        )
        superfluous = [name for (name,) in cursor.fetchall()]
    for name in superfluous:
        schema_editor.execute(f'DROP INDEX "{name}"')


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]
    operations = [migrations.RunPython(compare_bytes, migrations.RunPython.noop)]

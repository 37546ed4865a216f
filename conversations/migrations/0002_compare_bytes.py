"""Compare and sort what only machines write by bytes.

On PostgreSQL the database's collation would sort ids by the rules of a language: slowly, and not in the order they
were made. SQLite does so anyway.
"""

from typing import Any

from django.db import migrations

COLUMNS = [
    ("conversations_conversation", "object_id", 64),
    ("conversations_conversation", "unique_key", 64),
    ("conversations_member", "client_id", 64),
]


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column, length in COLUMNS:
        schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
    # Every send moves its conversation and counts in its sender's row; room on the page spares the indexes an entry.
    schema_editor.execute("ALTER TABLE conversations_member SET (fillfactor = 80)")
    schema_editor.execute("ALTER TABLE conversations_conversation SET (fillfactor = 80)")


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]
    operations = [migrations.RunPython(compare_bytes, migrations.RunPython.noop)]

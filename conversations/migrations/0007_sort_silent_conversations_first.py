"""On PostgreSQL, put conversations without a message at the old end of the index, where queries sort them.

NULL comes first in SQLite by itself, and last in PostgreSQL unless the index says otherwise; Django has no way to say
it that both take.
"""

from typing import Any

from django.db import migrations


def replace(order: str) -> Any:
    """Return the step that makes the index anew in this order."""

    def run(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        schema_editor.execute("DROP INDEX conversation_active")
        schema_editor.execute(
            f"CREATE INDEX conversation_active ON conversations_conversation (application_id, last_message_hour {order})"
        )

    return run


class Migration(migrations.Migration):
    dependencies = [("conversations", "0006_seat_of_client")]
    operations = [migrations.RunPython(replace("NULLS FIRST"), replace("NULLS LAST"))]

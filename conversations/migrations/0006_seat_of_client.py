"""Let a seat in a chat room name its client, so that blocking the client takes the seat."""

from typing import Any

from django.db import migrations, models


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE conversations_roomseat ALTER COLUMN client_id TYPE varchar(64) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [("conversations", "0005_messages_of_deleted")]
    operations = [
        # Whose they are is not known; those who sit in one are there all the same.
        migrations.RunSQL("DELETE FROM conversations_roomseat", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="roomseat",
            name="client_id",
            field=models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="roomseat",
            name="conversation",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.deletion.CASCADE,
                related_name="+",
                to="conversations.conversation",
            ),
        ),
        migrations.AddIndex(
            model_name="roomseat",
            index=models.Index(fields=["conversation", "client_id"], name="room_seat_client"),
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
    ]

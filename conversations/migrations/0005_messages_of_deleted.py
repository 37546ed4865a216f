from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0004_bytes_and_hours"),
    ]

    operations = [
        migrations.AddField(
            model_name="deletedconversation",
            name="number",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="deletedconversation",
            index=models.Index(
                condition=models.Q(("number__isnull", False)), fields=["number"], name="deleted_conversation_number"
            ),
        ),
    ]

"""History for the application, and who else may read it: what was said in an application, and by a client, by time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("imcore", "0003_rest"),
        ("messaging", "0008_kicks"),
    ]

    operations = [
        migrations.AddField(
            model_name="messagingsettings",
            name="history_with_app_key",
            field=models.BooleanField(
                default=False,
                help_text="For old apps: who knows the App Key reads all by /1.1/rtm/messages/history and logs.",
            ),
        ),
        migrations.AddField(
            model_name="messagingsettings",
            name="sign_history",
            field=models.BooleanField(
                default=False,
                help_text="Clients read history over HTTP with the App Key and a signature of your server.",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["application", "timestamp_ms"], name="message_application"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["application", "sender", "timestamp_ms"], name="message_sender"),
        ),
    ]

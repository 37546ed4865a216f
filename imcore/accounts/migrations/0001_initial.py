from typing import Any

import django.db.models.deletion
from django.db import migrations, models

import imcore.attributes


def compare_bytes(apps: Any, schema_editor: Any) -> None:
    """Sort ids by bytes on PostgreSQL too, as SQLite does: only machines write them."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE accounts_user ALTER COLUMN object_id TYPE varchar(64) COLLATE "C"')


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("imcore", "0002_kinds_roles_and_lists"),
    ]

    operations = [
        migrations.CreateModel(
            name="AccountSettings",
            fields=[
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="imcore.application",
                    ),
                ),
                (
                    "password_change_ends_sessions",
                    models.BooleanField(
                        default=False,
                        help_text="Who changes a password has to log in anew on all other devices. A reset on the dashboard always does that.",
                    ),
                ),
                (
                    "third_party_logins",
                    models.BooleanField(
                        default=False,
                        help_text="Believe the authData that clients send without asking the platform it is of. Whoever learns an id there can then log in with it here. Off: only anonymous accounts, and what comes with the master key.",
                    ),
                ),
            ],
            options={
                "verbose_name": "Accounts",
                "verbose_name_plural": "Accounts",
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_id", models.CharField(max_length=64, verbose_name="id")),
                ("username", models.CharField(max_length=255)),
                ("email", models.CharField(blank=True, max_length=254, null=True)),
                ("is_email_verified", models.BooleanField(default=False, verbose_name="email verified")),
                ("phone", models.CharField(blank=True, max_length=24, null=True, verbose_name="mobile phone number")),
                ("is_phone_verified", models.BooleanField(default=False, verbose_name="mobile phone verified")),
                ("password", models.CharField(help_text="As Django's hashers encode it.", max_length=256)),
                ("attributes", models.JSONField(blank=True, decoder=imcore.attributes.ColumnDecoder, default=dict)),
                (
                    "auth_data",
                    models.JSONField(
                        blank=True,
                        decoder=imcore.attributes.ColumnDecoder,
                        default=dict,
                        help_text="authData: platform → data.",
                        verbose_name="accounts elsewhere",
                    ),
                ),
                ("acl", models.JSONField(blank=True, null=True, verbose_name="ACL")),
                ("session_seed", models.CharField(max_length=32)),
                ("session_digest", models.CharField(max_length=64)),
                ("failures_ms", models.JSONField(blank=True, default=list)),
                ("created_ms", models.BigIntegerField()),
                ("updated_ms", models.BigIntegerField()),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="imcore.application",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="LinkedAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("platform", models.CharField(max_length=64)),
                ("uid", models.CharField(max_length=255)),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="imcore.application",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.user",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("application", "object_id"), name="user_object_id"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("application", "username"), name="user_username"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("application", "email"), name="user_email"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("application", "phone"), name="user_phone"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("application", "session_digest"), name="user_session"),
        ),
        migrations.AddConstraint(
            model_name="linkedaccount",
            constraint=models.UniqueConstraint(fields=("application", "platform", "uid"), name="linked_account_once"),
        ),
        migrations.AddConstraint(
            model_name="linkedaccount",
            constraint=models.UniqueConstraint(fields=("user", "platform"), name="linked_account_platform"),
        ),
        migrations.RunPython(compare_bytes, migrations.RunPython.noop),
    ]

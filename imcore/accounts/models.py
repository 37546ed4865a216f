"""Tables of `_User`. Instants are in milliseconds since the epoch (`…_ms`), as in the other tables."""

from django.db import models

from imcore import limits
from imcore.attributes import ColumnDecoder
from imcore.models import ApplicationSettings


class User(models.Model):
    """Somebody who logs in by password, or by an account elsewhere.

    `attributes` are the developer's own columns. The session token is derived from `session_seed` and the master key,
    so that each log-in answers the same one though it is stored nowhere; requests are found by its digest.
    `failures_ms` are the moments of the last wrong passwords.
    """

    # Each constraint below begins with it; Django's index would be one more to write.
    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    object_id = models.CharField("id", max_length=limits.OBJECT_ID_MAX_CHARACTERS)
    username = models.CharField(max_length=limits.USERNAME_MAX_CHARACTERS)
    email = models.CharField(max_length=limits.EMAIL_MAX_CHARACTERS, null=True, blank=True)
    is_email_verified = models.BooleanField("email verified", default=False)
    phone = models.CharField("mobile phone number", max_length=limits.PHONE_MAX_CHARACTERS, null=True, blank=True)
    is_phone_verified = models.BooleanField("mobile phone verified", default=False)
    password = models.CharField(max_length=256, help_text="As Django's hashers encode it.")
    attributes = models.JSONField(default=dict, blank=True, decoder=ColumnDecoder)
    auth_data = models.JSONField(
        "accounts elsewhere", default=dict, blank=True, decoder=ColumnDecoder, help_text="authData: platform → data."
    )
    acl = models.JSONField("ACL", null=True, blank=True)
    session_seed = models.CharField(max_length=32)
    session_digest = models.CharField(max_length=64)
    failures_ms = models.JSONField(default=list, blank=True)
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "object_id"], name="user_object_id"),
            models.UniqueConstraint(fields=["application", "username"], name="user_username"),
            models.UniqueConstraint(fields=["application", "email"], name="user_email"),
            models.UniqueConstraint(fields=["application", "phone"], name="user_phone"),
            models.UniqueConstraint(fields=["application", "session_digest"], name="user_session"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.username


class LinkedAccount(models.Model):
    """An account elsewhere that logs a user in: one row for each platform in `authData`."""

    application = models.ForeignKey("imcore.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    platform = models.CharField(max_length=limits.PLATFORM_MAX_CHARACTERS)
    uid = models.CharField(max_length=limits.PLATFORM_UID_MAX_CHARACTERS)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "platform", "uid"], name="linked_account_once"),
            models.UniqueConstraint(fields=["user", "platform"], name="linked_account_platform"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.platform}: {self.uid}"


class AccountSettings(ApplicationSettings):
    """What an application chooses about its users."""

    password_change_ends_sessions = models.BooleanField(
        default=False,
        help_text="Who changes a password has to log in anew on all other devices. A reset on the dashboard always "
        "does that.",
    )
    third_party_logins = models.BooleanField(
        default=False,
        help_text="Believe the authData that clients send without asking the platform it is of. Whoever learns an id "
        "there can then log in with it here. Off: only anonymous accounts, and what comes with the master key.",
    )

    class Meta:
        verbose_name = "Accounts"
        verbose_name_plural = "Accounts"

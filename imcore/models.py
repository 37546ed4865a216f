"""The tenant, and the base of what a tenant may choose. Everything else hangs on an Application."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator, RegexValidator
from django.db import models, transaction

from imcore import identifiers


class Application(models.Model):
    """One tenant: what LeanCloud calls an app. Its clients, conversations and messages are invisible to others."""

    name = models.CharField(max_length=100, help_text="For people; clients never see it.")
    app_id = models.CharField(
        "App ID",
        max_length=64,
        unique=True,
        default=identifiers.application_id,
        # The Java SDK silently has no endpoint for ids of 8 characters or fewer (rest-api 1.3).
        validators=[
            MinLengthValidator(9, "An App ID needs more than 8 characters: the Java SDK refuses shorter ones."),
            RegexValidator(r"^[A-Za-z0-9_-]+$", "An App ID has letters, digits, '-' and '_' only."),
        ],
    )
    app_key = models.CharField("App Key", max_length=64, default=identifiers.secret_key)
    master_key = models.CharField(
        "Master Key",
        max_length=64,
        default=identifiers.secret_key,
        help_text="Secret. Changing it also ends every session token.",
    )
    android_secure_key = models.CharField(
        "Android Secure Key",
        max_length=64,
        blank=True,
        default="",
        help_text="Of Android apps that ship an App ID only, and sign with a key of their own (ax-sig-1). Empty: no "
        "such signature is good.",
    )
    is_active = models.BooleanField(default=True, help_text="Off: clients get 4100 APP_NOT_AVAILABLE and stay away.")
    created_at = models.DateTimeField(auto_now_add=True)
    # Counts the changes of this row and of every settings row; servers reload an application when it rises.
    version = models.PositiveBigIntegerField(default=1, editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.app_id})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the application and make running servers reload it."""
        is_new = self._state.adding
        with transaction.atomic():
            super().save(*args, **kwargs)
            if not is_new:
                Application.objects.filter(pk=self.pk).update(version=models.F("version") + 1)
                self.refresh_from_db(fields=["version"])


class ApplicationSettings(models.Model):
    """Base of an app's settings model. Fields need a default; names must be unique across all apps."""

    application = models.OneToOneField(Application, on_delete=models.CASCADE, primary_key=True, related_name="+")

    registry: ClassVar[list[type["ApplicationSettings"]]] = []

    class Meta:
        abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ApplicationSettings.registry.append(cls)

    def __str__(self) -> str:
        return str(self._meta.verbose_name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row and make running servers reload the application, both or neither."""
        with transaction.atomic():
            super().save(*args, **kwargs)
            Application.objects.filter(pk=self.pk).update(version=models.F("version") + 1)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the settings of this model, in the order they are declared."""
        return [field.name for field in cls._meta.concrete_fields if field.name != "application"]


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"


def _is_local(origin: str) -> bool:
    try:
        return urlsplit(origin).hostname in ("localhost", "127.0.0.1")
    except ValueError:  # whatever a client writes there
        return False


def validate_origins(value: str) -> None:
    """Refuse a list of web origins with a line that is not scheme, host and port alone."""
    for origin in value.split():
        if not _is_origin(origin):
            raise ValidationError(f"{origin!r} is not an origin; write it like https://chat.example.com")


class GatewaySettings(ApplicationSettings):
    """What an application chooses about its connections."""

    allowed_origins = models.TextField(
        blank=True,
        default="",
        validators=[validate_origins],
        help_text="Web security domains: the origins of web pages that may connect, one per line, such as "
        "https://chat.example.com; others are closed with 4110. Empty: all. localhost is always allowed.",
    )

    client_messages_per_minute = models.PositiveIntegerField(
        default=0, help_text="Messages one client may send in a minute; more get 4116. LeanCloud: 60. 0: no limit."
    )
    client_history_queries_per_minute = models.PositiveIntegerField(
        default=0,
        help_text="History queries one client may make in a minute; more get 4318. LeanCloud: 120. 0: no limit.",
    )
    client_operations_per_minute = models.PositiveIntegerField(
        default=0,
        help_text="Commands of each other kind one client may send in a minute; more get 4318. LeanCloud: 30. "
        "0: no limit.",
    )

    class Meta:
        verbose_name = "Connections"
        verbose_name_plural = "Connections"

    @property
    def limits_rates(self) -> bool:
        """Whether any rate of a client is limited."""
        return bool(
            self.client_messages_per_minute
            or self.client_history_queries_per_minute
            or self.client_operations_per_minute
        )

    def origins(self) -> list[str]:
        """Return the allowed origins as a list."""
        return self.allowed_origins.split()

    def admits(self, origin: str | None) -> bool:
        """Return whether a web page of this origin may connect; whoever names none is no web page."""
        allowed = self.origins()
        return not allowed or not origin or origin in allowed or _is_local(origin)


class RestSettings(ApplicationSettings):
    """What an application chooses about its REST API."""

    rest_signature_max_age_seconds = models.PositiveIntegerField(
        default=0,
        help_text="How old, or ahead, the time of a request's signature (X-LC-Sign) may be. Clocks of devices are "
        "wrong, and Objective-C sends requests again much later. 0: any age.",
    )
    rest_messages_per_minute = models.PositiveIntegerField(
        default=1800,
        help_text="Messages a back end may send, edit or recall in a minute; more get 429. 0: no limit.",
    )
    rest_uploads_per_minute = models.PositiveIntegerField(
        default=1800, help_text="Files that may be announced (fileTokens) in a minute; more get 429. 0: no limit."
    )
    rest_subscriber_messages_per_minute = models.PositiveIntegerField(
        default=30, help_text="Messages to all subscribers of a service, in a minute; more get 429. 0: no limit."
    )
    rest_subscriber_messages_per_day = models.PositiveIntegerField(
        default=1000, help_text="… and in a day (UTC). 0: no limit."
    )
    rest_broadcasts_per_minute = models.PositiveIntegerField(
        default=10, help_text="Broadcasts to all clients, in a minute; more get 429. 0: no limit."
    )
    rest_broadcasts_per_day = models.PositiveIntegerField(default=30, help_text="… and in a day (UTC). 0: no limit.")
    rest_log_ins_per_minute = models.PositiveIntegerField(
        default=600,
        help_text="Log-ins of all users together, in a minute, those with the Master Key aside; more get 429. 0: no "
        "limit.",
    )
    rest_sign_ups_per_minute = models.PositiveIntegerField(
        default=600,
        help_text="Sign-ups in a minute, log-ins by an account elsewhere among them, those with the Master Key aside; "
        "more get 429. 0: no limit.",
    )

    class Meta:
        verbose_name = "REST API"
        verbose_name_plural = "REST API"

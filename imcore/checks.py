"""Start-up checks: what would otherwise fail at the first message fails before the first connection."""

from collections import Counter
from typing import Any

from django.core.checks import CheckMessage, Error, register
from google.protobuf.internal import api_implementation

from imcore.appsettings import named_fields


@register()
def check_protobuf(**kwargs: Any) -> list[CheckMessage]:
    """Refuse protobuf's pure Python fallback, which makes every message ten times dearer."""
    if api_implementation.Type() == "python":
        return [Error("protobuf runs in pure Python; install its binary wheel.", id="imcore.E001")]
    return []


@register()
def check_setting_names(**kwargs: Any) -> list[CheckMessage]:
    """Names of settings must be unique across apps: `application_settings` addresses them without a prefix."""
    names = Counter(name for name, _ in named_fields())
    return [
        Error(f"Two settings models have a setting named {name}.", id="imcore.E002")
        for name, times in names.items()
        if times > 1
    ]

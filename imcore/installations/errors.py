"""Errors of installations, with the codes of the hosted service (rest-api 4.1)."""

from imcore.errors import ImError


class InvalidChannel(ImError):
    """A channel that cannot be named so; the detail says which."""

    code = 112
    reason = "Invalid channel name."


class InvalidDeviceToken(ImError):
    """No token that Apple, or anybody, gives a device."""

    code = 114
    reason = "Invalid device token."


class TakenInstallationId(ImError):
    """Another installation has the `installationId` (rest-api 4.1: a unique index)."""

    code = 137
    reason = "A unique field was given a value that is already taken."

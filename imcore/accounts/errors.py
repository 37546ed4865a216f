"""Errors of accounts, with the codes and texts of the hosted service (rest-api 4.1).

SDKs match on codes; the texts are for people, and say no more than the code does. What any object can be refused for is
in `imcore/objects.py`.
"""

from imcore.errors import ImError


class InvalidAcl(ImError):
    """`ACL` is no access control list."""

    code = 123
    reason = "Invalid ACL format."


class InvalidEmail(ImError):
    """This cannot be an address of electronic mail."""

    code = 125
    reason = "The email address was invalid."


class InvalidPhone(ImError):
    """This cannot be the number of a mobile phone."""

    code = 127
    reason = "The mobile phone number was invalid."


class UsernameMissing(ImError):
    """No user name, or an empty one."""

    code = 200
    reason = "Username is missing or empty."


class PasswordMissing(ImError):
    """No password, or an empty one."""

    code = 201
    reason = "Password is missing or empty."


class UsernameTaken(ImError):
    """Another user has the name."""

    code = 202
    reason = "Username has already been taken."


class EmailTaken(ImError):
    """Another user has the address."""

    code = 203
    reason = "Email has already been taken."


class EmailUnknown(ImError):
    """No user has the address."""

    code = 205
    reason = "Could not find user by email."


class LogInRequired(ImError):
    """Only the user may do this, and nobody is logged in."""

    code = 206
    reason = "The user cannot be altered by a client without the session."


class LinkedToAnother(ImError):
    """The account of the other platform belongs to another user."""

    code = 208
    reason = "The third party account is already linked to another user."


class PasswordMismatch(ImError):
    """The password is not this user's."""

    code = 210
    reason = "The username and password mismatch."


class UserNotFound(ImError):
    """No such user, or no such session."""

    code = 211
    reason = "Could not find user."


class PhoneTaken(ImError):
    """Another user has the number."""

    code = 214
    reason = "Mobile phone number has already been taken."


class InvalidUsername(ImError):
    """Blank, longer than a name may be, or no storable text."""

    code = 217
    reason = "Invalid username, it must be a non-blank string."


class InvalidPassword(ImError):
    """A password of nothing but white space."""

    code = 218
    reason = "Invalid password, it must be a non-blank string."


class TooManyFailures(ImError):
    """Locked for a quarter of an hour, because of too many wrong passwords."""

    code = 219
    reason = "Too many failed log-ins, try again later."


class ThirdPartyIdMissing(ImError):
    """`authData` does not say whose account it is."""

    code = 250
    reason = "The third party account has no id."


class ThirdPartyRefused(ImError):
    """Nobody has vouched for this account of another platform."""

    code = 251
    reason = "The third party account cannot be verified."


class Forbidden(ImError):
    """Somebody else's, or the session is over."""

    code = 403
    reason = "Forbidden."
    http_status = 403


class TooManyPasswords(ImError):
    """More passwords wait to be checked than the server takes on."""

    code = 429
    reason = "Too many requests."
    http_status = 429

"""Errors of files, with the codes of the hosted service where it has one (rest-api 4.1)."""

from imcore.errors import ImError


class InvalidUrl(ImError):
    """An external file without an address on the web."""

    code = 1
    reason = "Invalid URL."


class FileUnknown(ImError):
    """No such file, or its bytes are not here yet."""

    code = 101
    reason = "Class or object doesn't exists."
    http_status = 404


class InvalidMetadata(ImError):
    """`metaData` that cannot be stored."""

    code = 111
    reason = "Invalid value type for the column."


class InvalidFileName(ImError):
    """A name with a step up, with control characters, or too long."""

    code = 122
    reason = "Invalid file name."


class UploadRefused(ImError):
    """The upload URL is not (any more) good for this, or the file is another's; the detail says which."""

    code = 403
    reason = "Forbidden."
    http_status = 403


class UploadIncomplete(ImError):
    """The bytes stopped coming, or are not what they should be."""

    code = 400
    reason = "Bad request."


class UploadTooLarge(ImError):
    """More bytes than announced, or than the application takes."""

    code = 413
    reason = "The body is too large."
    http_status = 413


class TooManyUploads(ImError):
    """The process receives as many uploads as it takes at a time, or as it takes of one application."""

    code = 429
    reason = "Too many requests."
    http_status = 429
    retry_after_seconds = 5

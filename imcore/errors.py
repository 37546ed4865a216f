"""Every error a client can be told, as a class.

    ImError
    ├── the request failed; the connection goes on
    │   ├── 41xx session        SignatureFailed, InvalidLogin, SessionRequired, SessionTokenExpired, …
    │   ├── 42xx internal       InternalError, SendTimeout
    │   ├── 43xx conversation   ConversationNotFound, ConversationFull, OperationUnauthorized, …
    │   ├── 44xx message        InvalidMessagingTarget, …
    │   └── 45xx moderation     BlockedByConversation, Silenced, …
    └── ConnectionEnded         the connection ends with the code as its WebSocket close code
        └── ApplicationNotAvailable, ReadTimeout, LoginTimeout, FrameTooLong, InvalidOrigin, Unparseable, …

Services raise these classes; only the edges turn them into frames (`gateway/dispatch.py`) or HTTP bodies
(`rest/exceptions.py`). Codes and names: realtime-protocol 11. The names are what SDK users match on, misspellings
included.
"""

from typing import ClassVar


class ImError(Exception):
    """An anticipated failure that is told to the client.

    `detail` is free text for the developer; `client_ids` are the ids it concerns in a partial failure; `app_code` and
    `app_message` are the developer's own when a hook refused. `retry_after_seconds`: of what is told by HTTP statuses
    429 and 503, when it may be asked again.
    """

    code: ClassVar[int] = 4200
    reason: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int] = 400
    retry_after_seconds: int = 1

    def __init__(
        self,
        detail: str = "",
        *,
        client_ids: tuple[str, ...] = (),
        app_code: int | None = None,
        app_message: str = "",
    ) -> None:
        super().__init__(detail or self.reason)
        self.detail = detail
        self.client_ids = client_ids
        self.app_code = app_code
        self.app_message = app_message


class ConnectionEnded(ImError):
    """The connection cannot go on; its close code is `code`."""


class ApplicationNotAvailable(ConnectionEnded):
    """Unknown or disabled application. Clients do not reconnect after it."""

    code = 4100
    reason = "APP_NOT_AVAILABLE"
    http_status = 401


class ReadTimeout(ConnectionEnded):
    """Nothing was heard from the client, not even a pong, within the idle limit."""

    code = 4107
    reason = "READ_TIMEOUT"


class LoginTimeout(ConnectionEnded):
    """The connection was opened and never used to log in."""

    code = 4108
    reason = "LOGIN_TIMEOUT"


class FrameTooLong(ConnectionEnded):
    """A frame over the server's bound; see MessageTooLong for a message over the application's."""

    code = 4109
    reason = "FRAME_TOO_LONG"
    http_status = 413


class InvalidOrigin(ConnectionEnded):
    """A browser page whose origin is not on the application's list."""

    code = 4110
    reason = "INVALID_ORIGIN"
    http_status = 403


class Unparseable(ConnectionEnded):
    """A frame that is not a command of the protocol."""

    code = 4114
    reason = "UNPARSEABLE_RAW_MESSAGE"


class ApplicationUnknown(ImError):
    """As ApplicationNotAvailable, told as the answer to a request before the connection is closed."""

    code = 4100
    reason = "APP_NOT_AVAILABLE"


class SignatureFailed(ImError):
    """The login signature is missing, wrong or too old."""

    code = 4102
    reason = "SIGNATURE_FAILED"
    http_status = 401


class InvalidLogin(ImError):
    """The client id is empty, longer than 64 characters or not storable text."""

    code = 4103
    reason = "INVALID_LOGIN"


class SessionRequired(ImError):
    """A command for a client that has no open session on this connection."""

    code = 4105
    reason = "SESSION_REQUIRED"


class MessageTooLong(ImError):
    """The body and its push data exceed the application's bound."""

    code = 4109
    reason = "FRAME_TOO_LONG"


class SessionConflict(ImError):
    """Another device holds this single-device login, or this device was signed out by one."""

    code = 4111
    reason = "SESSION_CONFLICT"


class SessionTokenExpired(ImError):
    """The session token is unknown or expired."""

    code = 4112
    reason = "SESSION_TOKEN_EXPIRED"
    http_status = 401


class KickedByApp(ImError):
    """The application's back end or its administrator signed the client out."""

    code = 4115
    reason = "KICKED_BY_APP"


class MessageQuotaExceeded(ImError):
    """The client sends more often than the application allows."""

    code = 4116
    reason = "MESSAGE_SENT_QUOTA_EXCEEDED"
    http_status = 429


class InternalError(ImError):
    """An unforeseen fault, or a command that this server does not support."""

    code = 4200
    reason = "INTERNAL_ERROR"
    http_status = 500


class SendTimeout(ImError):
    """A message could not be stored in time; whether it was is unknown, so resend it with the same `dt`."""

    code = 4201
    reason = "SEND_MESSAGE_TIMEOUT"
    http_status = 503


class StorageUnavailable(ImError):
    """The database is away or too busy; try again."""

    code = 4300
    reason = "CONVERSATION_INTERNAL_ERROR"
    http_status = 503


class ConversationRequestInvalid(ImError):
    """A conversation command with bad arguments."""

    code = 4301
    reason = "CONVERSATION_API_FAILED"


class ConversationSignatureFailed(ImError):
    """The signature of a conversation operation is missing, wrong or too old."""

    code = 4302
    reason = "CONVERSATION_SIGNATURE_FAILED"
    http_status = 401


class ConversationNotFound(ImError):
    """No such conversation in this application."""

    code = 4303
    reason = "CONVERSATION_NOT_FOUND"


class ConversationFull(ImError):
    """The conversation has, or would get, more members than allowed."""

    code = 4304
    reason = "CONVERSATION_FULL"


class ConversationUpdateFailed(ImError):
    """The attributes of an update cannot be read or applied."""

    code = 4306
    reason = "CONVERSATION_UPDATE_FAILED"


class ConversationNotAllowed(ImError):
    """The operation does not exist for this kind of conversation."""

    code = 4308
    reason = "CONVERSATION_NOT_ALLOWED"


class ConversationUpdateRejected(ImError):
    """Only a member may change the attributes of a conversation."""

    code = 4309
    reason = "CONVERSATION_UPDATE_REJECTED"
    http_status = 403


class ConversationQueryFailed(ImError):
    """The `where`, `sort` or another argument of a conversation query cannot be evaluated."""

    code = 4310
    reason = "CONVERSATION_QUERY_FAILED"


class ConversationQueryTooSlow(ConversationQueryFailed):
    """A query that takes longer than it may: over HTTP code 124 (rest-api 6.2), on the socket as any that fails."""


class HistoryRejected(ImError):
    """History of a conversation is for its members."""

    code = 4312
    reason = "CONVERSATION_LOG_REJECTED"
    http_status = 403


class SystemConversationRequired(ImError):
    """Only a system conversation speaks to its subscribers, or to everybody."""

    code = 4313
    reason = "SYSTEM_CONVERSATION_REQUIRED"


class NormalConversationRequired(ImError):
    """Something that only normal conversations have (rest-api 4.1)."""

    code = 4314
    reason = "NORMAL_CONVERSATION_REQUIRED"


class ChatRoomRequired(ImError):
    """Something that only chat rooms have (rest-api 4.1)."""

    code = 4316
    reason = "TRANSIENT_CONVERSATION_REQUIRED"


class TemporarilySilenced(ImError):
    """The sender was silenced for a while."""

    code = 4315
    reason = "CONVERSATION_BLACKLISTED"
    http_status = 403


class MembershipRequired(ImError):
    """Only a member of the conversation may do this."""

    code = 4317
    reason = "CONVERSATION_MEMBERSHIP_REQUIRED"
    http_status = 403


class ConversationQuotaExceeded(ImError):
    """The client asks more often than the application allows."""

    code = 4318
    reason = "CONVERSATION_API_QUOTA_EXCEEDED"
    http_status = 429


class OperationUnauthorized(ImError):
    """The client's role does not allow this, or not towards this target."""

    code = 4320
    reason = "CONVERSATION_OPERATION_UNAUTHORIZED"


class UnknownRole(ImError):
    """No role has this name."""

    code = 4321
    reason = "UNKNOWN_CONVERSATION_ROLE"


class TemporaryConversationExpired(ImError):
    """The temporary conversation has outlived its time to live."""

    code = 4323
    reason = "TEMPORARY_CONVERSATION_EXPIRED"
    http_status = 404


class OwnerRequired(ImError):
    """The owner cannot leave, or be removed from, a conversation that has roles."""

    code = 4324
    reason = "CONVERSATION_NEED_OWNER"


class RolesDisabled(ImError):
    """The application has not enabled member roles."""

    code = 4325
    reason = "CONVERSATION_MEMBER_INFO_FEATURE_DISABLED"


class InvalidMessagingTarget(ImError):
    """The sender is not a member of the conversation, or the target does not exist."""

    code = 4401
    reason = "INVALID_MESSAGING_TARGET"


class MessageOwnershipRequired(ImError):
    """Editing or recalling what somebody else wrote."""

    code = 4403
    reason = "MESSAGE_OWNERSHIP_REQUIRED"


class MessageNotFound(ImError):
    """The conversation has no such message, or it was recalled."""

    code = 4404
    reason = "MESSAGE_NOT_FOUND"


class MessageEditDisabled(ImError):
    """The application does not let authors edit messages, or not such old ones."""

    code = 4406
    reason = "MESSAGE_EDIT_DISABLED"


class MessageRecallDisabled(ImError):
    """The application does not let authors recall messages, or not such old ones."""

    code = 4407
    reason = "MESSAGE_RECALL_DISABLED"


class BlockListFull(ImError):
    """The block list has, or would get, more entries than allowed."""

    code = 4543
    reason = "BLACKLIST_FULL"


class BlockListDisabled(ImError):
    """The application has not enabled block lists."""

    code = 4544
    reason = "BLACKLIST_FEATURE_DISABLED"


class BlockListSignatureFailed(ImError):
    """The signature of a block list operation is missing, wrong or too old."""

    code = 4546
    reason = "BLACKLIST_SIGNATURE_FAILED"
    http_status = 401


class BlockedByConversation(ImError):
    """The client is on the conversation's block list."""

    code = 4548
    reason = "BLOCKED_BY_CONV"
    http_status = 403


class SilenceListFull(ImError):
    """The list of silenced members has, or would get, more entries than allowed."""

    code = 4561
    reason = "SILIENCED_MEMBER_LIST_FULL"


class Silenced(ImError):
    """The sender is silenced in this conversation. The protocol spells it so."""

    code = 4563
    reason = "SILIENCED"
    http_status = 403

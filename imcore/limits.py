"""Protocol facts: bounds nobody sets, because the protocol and its shipped clients fix them.

Each line names its source in the specification (section numbers of realtime-protocol unless said otherwise).
What an operator may choose is in `settings.py`; what an application may choose is in its settings models.
"""

from typing import Final

CLIENT_ID_MAX_CHARACTERS: Final = 64  # 12: "1-64 characters, any UTF-8 text"
ONLINE_QUERY_MAX_CLIENTS: Final = 20  # 4.1.3: sessionPeerIds, extra ids are ignored

MESSAGE_MAX_BYTES: Final = 5120  # 5: body + pushData; the default of the application's setting
DEDUPLICATION_TOKEN_MAX_CHARACTERS: Final = 64  # SDKs send a uuid; anything longer is kept as its digest

MEMBERS_MAX: Final = 500  # 12: members of a normal conversation; the default of the application's setting
TEMPORARY_MEMBERS_MAX: Final = 10  # 12
TEMPORARY_ID_PREFIX: Final = "_tmp:"  # 4.15: every SDK recognises temporary conversations by it
TEMPORARY_TTL_DEFAULT_SECONDS: Final = 86_400  # 4.15
TEMPORARY_TTL_MAX_SECONDS: Final = 30 * 86_400  # limits-settings-conflicts 1


ATTRIBUTES_MAX_BYTES: Final = 128 * 1024  # ours: no source says; the default of the application's setting
SILENCED_MAX: Final = 500  # limits-settings-conflicts 1: per conversation
BLOCKED_MAX: Final = 500  # limits-settings-conflicts 1: per normal conversation …
LISTED_IN_ROOM_MAX: Final = 10_000  # … and of either list per chat room or system conversation
SILENCE_MAX_SECONDS: Final = 86_400  # rest-api 8.10: of a silence for a time
NOTIFICATION_PERMANENT: Final = 1  # 3.2, 10.3: about the client itself; only JavaScript 5 reads it
NOTIFICATION_DROPPABLE: Final = 2  # 3.2, 10.3
LIST_PAGE_DEFAULT: Final = 10  # 12: paging of silenced and blocked clients
LIST_PAGE_MAX: Final = 100  # 12
ROOM_REJOIN_MINUTES: Final = 30  # 4.13; the default of the application's setting
SIGNATURE_TOLERANCE_SECONDS: Final = 6 * 3600  # 9
SIGNATURE_SECONDS_BELOW: Final = 10**11  # 9: a smaller timestamp is in seconds, a greater one in milliseconds

CONVERSATION_PAGE_DEFAULT: Final = 10  # 4.4
CONVERSATION_PAGE_MAX: Final = 100  # 4.4
CONVERSATION_LOOKUP_MAX: Final = 1000  # 4.4: when `where` bounds objectId by $in (JS asks for 999)
MEMBER_LIST_MAX: Final = 50  # 4.5: conv/members
CONVERSATION_ID_MAX_CHARACTERS: Final = 64  # ours are 24 hexadecimal digits; imported ids may differ

OBJECT_ID_MAX_CHARACTERS: Final = 64  # rest-api 5: ours are 24 hexadecimal digits; imported ids may differ
USERNAME_MAX_CHARACTERS: Final = 255  # ours: no source says
EMAIL_MAX_CHARACTERS: Final = 254  # RFC 5321: the longest address that can be delivered to
PHONE_MAX_CHARACTERS: Final = 24  # ours: E.164 has 15 digits at most
PLATFORM_MAX_CHARACTERS: Final = 64  # ours
PLATFORM_UID_MAX_CHARACTERS: Final = 255  # ours
USER_MAX_BYTES: Final = 128 * 1024  # ours, as of a conversation's attributes; the hosted service's is 16 MB
USER_TOKEN_CHARACTERS: Final = 25  # rest-api 10.2: "25 lower-case alphanumerics"
INSTALLATION_TEXT_MAX_CHARACTERS: Final = 128  # ours
DEVICE_TOKEN_MAX_CHARACTERS: Final = 512  # ours: Firebase's have some 200, and no bound
CHANNEL_MAX_CHARACTERS: Final = 128  # ours: twice a client id, which is one
CHANNELS_MAX: Final = 1000  # ours, of one installation
INSTALLATION_MAX_BYTES: Final = 32 * 1024  # ours: the developer's columns, as JSON
INSTALLATION_KEPT_DAYS: Final = 90  # rest-api 10.3
LOGIN_FAILURES_MAX: Final = 6  # rest-api 4.1, 219: one more, all within …
LOGIN_FAILURES_MINUTES: Final = 15  # … and locked for as long after the last one

FILE_NAME_MAX_CHARACTERS: Final = 255  # ours: what file systems take
FILE_KEY_MAX_CHARACTERS: Final = 160  # ours: 32 that cannot be guessed, `/`, and a part of the name
MIME_TYPE_MAX_CHARACTERS: Final = 127  # RFC 6838, 4.2: twice that with both parts at their longest, which none are
FILE_URL_MAX_CHARACTERS: Final = 2048  # ours: of files that lie elsewhere
FILE_METADATA_MAX_BYTES: Final = 16 * 1024  # ours
FILE_MAX_BYTES: Final = 20 * 1024 * 1024  # ours: no source says; the default of the application's setting
UPLOAD_SLACK_BYTES: Final = 4096  # ours: so much more than announced may come, since SDKs count themselves
UPLOAD_URL_SECONDS: Final = 3600  # rest-api 10.4: "valid 1 hour"
FILE_CACHE_SECONDS: Final = 365 * 86_400  # rest-api 10.4: "one-year cache"; the SDKs upload with 31536000

REST_PAGE_DEFAULT: Final = 100  # rest-api 6.1
REST_PAGE_MAX: Final = 1000  # rest-api 6.1
REST_SKIP_MAX: Final = 1_000_000  # ours: no source says; the database reads what it skips
REST_WHERE_MAX_BYTES: Final = 16 * 1024  # rest-api 3.6
REST_INCLUDE_DEPTH: Final = 3  # rest-api 12
REST_INCLUDES_MAX: Final = 10  # ours: each is a read of its own
REST_INCLUDED_MAX_BYTES: Final = 16 * 1024 * 1024  # ours: of all that an answer includes, as JSON
REST_KEYS_MAX: Final = 200  # ours: each is looked for in every object
REST_SCAN_SECONDS: Final = 600  # rest-api 6.3: how long a cursor is good
REST_BATCH_MAX: Final = 100  # ours: no source says
REST_BATCH_SECONDS: Final = 30  # ours: no request of a batch begins later
REST_BATCH_ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024  # ours: nor once so much is to be answered, as JSON
REST_BODY_MAX_BYTES: Final = 20 * 1024 * 1024  # rest-api 3.8

SUBSCRIBER_PAGE: Final = 50  # rest-api 8.11, 8.12
KICK_REASON_MAX_CHARACTERS: Final = 20  # rest-api 8.12
SERVICE_RECEIVERS_MAX: Final = 20  # rest-api 8.7: to_clients
REST_MENTIONS_MAX: Final = 20  # rest-api 8.7: mention_client_ids
BROADCAST_VALID_DAYS: Final = 31  # rest-api 8.14: "one month", by default and at most

HISTORY_PAGE_DEFAULT: Final = 20  # 4.11
HISTORY_PAGE_MAX: Final = 100  # 4.11: subprotocols .2 and .3
HISTORY_PAGE_MAX_PUSH_MODE: Final = 1000  # limits-settings-conflicts 4: subprotocol .1

UNREAD_MAX: Final = 100  # 12: the count means "100 or more" there
UNREAD_CONVERSATIONS_MAX: Final = 50  # 4.10: told at log-in; the default of the application's setting
OFFLINE_MESSAGES_MAX: Final = 20  # 1.5: pushed at log-in per conversation; the default of the application's setting
# Ours: what all bodies pushed at one log-in may be, which is as much as there can be with LeanCloud's limits.
OFFLINE_MAX_BYTES: Final = UNREAD_CONVERSATIONS_MAX * OFFLINE_MESSAGES_MAX * MESSAGE_MAX_BYTES
PATCH_ITEMS_MAX: Final = 100  # ours: edits and recalls in one command; SDKs send one
# ours: so far ahead of the clock may commands of several edits drive patch times, of which each takes the next
# millisecond. Below the margin of replays (messaging/storage/catching_up.py), so that nothing else is passed over.
PATCHES_AHEAD_MAX_MS: Final = 1000
PATCHES_MAX: Final = 300  # 4.12: replayed at log-in, "at most a few hundred"
RECEIPTS_MEMBERS_MAX: Final = 2  # 4.9.4; the default of the application's setting
READ_CONVERSATIONS_MAX: Final = 100  # ours: one `read` marks at most so many; what is beyond is ignored
ACK_IDS_MAX: Final = 100  # ours: of the old form of `ack`, a list of message ids
MARKED_MESSAGES_MAX: Final = 1000  # ours: by one ack or read, the newest; the marks of the member move all the same
RECEIPTS_MAX: Final = 100  # ours: sent for one ack or read, the newest; JavaScript looks at the latest only
KEPT_RECEIPTS_MAX: Final = 20  # ours: of these, kept for each sender that may be away

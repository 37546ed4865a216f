"""What a client declares to understand: the bits of `configBitmap` (realtime-protocol 4.1.1)."""

from typing import Final

PATCHES: Final = 1
TEMPORARY_CONVERSATIONS: Final = 2
AUTOMATIC_PUSH_BINDING: Final = 4
TRANSIENT_ACKS: Final = 8
KEPT_NOTIFICATIONS: Final = 16
PARTIAL_FAILURE: Final = 32
GROUP_RECEIPTS: Final = 64
OMITS_CLIENT_ID: Final = 128

# What a client declares itself; above these are the server's own bits.
DECLARED: Final = (1 << 32) - 1
# The subprotocol is not one of offline push (`.1`): the client is told counts, and who has read (1.5).
COUNTS_UNREAD: Final = 1 << 32

# The .NET SDK re-opens without a bitmap; this is what it declares when it sends one (realtime-protocol 4.1.1).
ASSUMED: Final = 0xAB

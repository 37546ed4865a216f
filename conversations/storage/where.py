"""The `where` language of `conv/query` (realtime-protocol 4.4): MongoDB's, as the SDKs' builders write it.

    text ─ parse ─→ Where ─ compile_where ─→ SQL over the conversation `c`, run under time_limit

    with where.time_limit(connection, seconds), connection.cursor() as cursor:
        cursor.execute(f"SELECT … FROM conversations_conversation c WHERE application_id = %s AND ({sql})", …)

| Key | Is |
|---|---|
| objectId, c, uniqueId, lm, createdAt, updatedAt, conv_type, tr, sys, temp, unique | a column |
| m, mu | the member rows; the muted ones |
| anything else | an attribute; dots reach into nested objects, not into arrays |

| Operator | Matches |
|---|---|
| plain value | what equals it, or an array that contains it; null also what is missing |
| $ne, $nin | whatever the plain value, or $in, does not match: missing keys too |
| $lt $lte $gt $gte | values of the operand's type: number, string (by code point) or Date |
| $in $all $size $exists | as in MongoDB |
| $regex with $options imxs | strings; the dialect is in `where_regex` |
| $nearSphere with $minDistance…, $maxDistance…; $within $box | GeoPoints |
| $and $or $nor | lists of conditions |

Instants (lm, createdAt, updatedAt) compare with Dates, ISO strings and milliseconds; a Date in an attribute
compares by its `iso` string.

    where_parsing, where_regex                          from text to tree
    where_tree                                          the tree
    where_compiling → where_sqlite, where_postgresql    from tree to SQL (where_sql)
    where_matching                                      what it all means, in plain Python
    where_limits                                        the connection and the clock
"""

from conversations.storage.where_compiling import compile_where, distance_order
from conversations.storage.where_limits import prepare_connection, time_limit
from conversations.storage.where_parsing import parse
from conversations.storage.where_tree import Where

__all__ = ["Where", "compile_where", "distance_order", "parse", "prepare_connection", "time_limit"]

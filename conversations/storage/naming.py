"""What statements about messages tell of their conversations, which they know by number.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).
"""

from hashlib import md5
from typing import Final

# Questions about the conversation of a row, for the statement that reads the row: a look into the primary key for each,
# whatever the planner thinks of a join. NULL if the conversation is gone.
OBJECT_ID: Final = "(SELECT c.object_id FROM conversations_conversation AS c WHERE c.id = {number})"
KIND: Final = "(SELECT c.kind FROM conversations_conversation AS c WHERE c.id = {number})"


def log_id(conversation_id: str, client_id: str) -> str:
    """Return the id of the log of what a system conversation says to a client (rest-api 8.8).

    What it is made of cannot be told from it, so rows that say who may have such a log keep it.
    """
    return md5(f"{conversation_id}:{client_id}".encode(), usedforsecurity=False).hexdigest()

"""What statements about messages tell of their conversations, which they know by number.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).
"""

from typing import Final

# Questions about the conversation of a row, for the statement that reads the row: a look into the primary key for each,
# whatever the planner thinks of a join. NULL if the conversation is gone.
OBJECT_ID: Final = "(SELECT c.object_id FROM conversations_conversation AS c WHERE c.id = {number})"
KIND: Final = "(SELECT c.kind FROM conversations_conversation AS c WHERE c.id = {number})"

"""What the Python SDK's back end says and reads: history (rest-api 9.1). To be run like `objects.py`.

LEANCLOUD_API_SERVER, IMCORE_APP_ID, IMCORE_APP_KEY, IMCORE_MASTER_KEY: the server and the application.
"""

import os
import secrets
import time
from datetime import UTC, datetime

import leancloud
from leancloud import Conversation, Message

run = secrets.token_hex(4)
amy, bob = f"amy-{run}", f"bob-{run}"
leancloud.init(
    os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"], master_key=os.environ["IMCORE_MASTER_KEY"]
)

lunch = Conversation(name="Lunch")
lunch.set("m", [amy, bob])
lunch.save()
for number in range(3):
    lunch.send(amy, {"_lctype": -1, "_lctext": str(number)})
lunch.send(bob, "raw", push_data={"alert": "hi"})
lunch.send(bob, "gone", transient=True)

newest, *older = Message.find_by_conversation(lunch.id)
assert (newest.data, newest.from_client, newest.to, newest.conversation_id) == ("raw", bob, lunch.id, lunch.id)
assert (newest.bin, newest.is_conversation, newest.is_room) == (False, True, False)
assert len(newest.message_id) == 22
assert abs(newest.timestamp - time.time()) < 120
assert [one.from_client for one in older] == [amy] * 3
[first] = Message.find_by_conversation(lunch.id, limit=1, reversed=True, before_time=0)
assert '"0"' in first.data.replace(" ", "")
[second] = Message.find_by_conversation(
    lunch.id, limit=1, reversed=True, before_time=first.timestamp, before_message_id=first.message_id
)
assert '"1"' in second.data.replace(" ", "")
assert Message.find_by_conversation(lunch.id, before_time=datetime.fromtimestamp(first.timestamp, UTC)) == []
print("  ok  history of a conversation, either way, page by page")

assert {one.message_id for one in Message.find_by_client(amy)} == {one.message_id for one in older}
assert newest.message_id in {one.message_id for one in Message.find_all(limit=1000)}
print("  ok  history of a client and of the application")

print("Said and read.")

"""Deleting a message: a row less, and a hole in the seqs of its conversation, which bear one.

    lock the conversation → judge the message → delete it → move the members' marks

Nothing that is read by seq needs every one of them. A hole is unread for nobody: in the members' marks it counts as a
recalled message does, and where these are counted anew, it is what is there that is counted (`spans.count_not_unread`).
"""

from collections.abc import Callable

from django.db import transaction

from conversations.storage import marks, positions
from imcore.errors import ConversationNotFound
from messaging.events import Mentions
from messaging.models import Message
from messaging.storage import patches
from messaging.storage.patches import Subject

# The service's rule, on the facts of this moment: the message is returned, or what forbids it raised. None: there is no
# such message.
Judge = Callable[[Subject | None], Subject]


@transaction.atomic
def delete(*, conversation: int, message_id: str, judge: Judge, clock: Callable[[], int]) -> None:
    """Delete a message. Raises ConversationNotFound, and what `judge` raises.

    The clock is read under the lock: whoever comes back is told the counts that have changed since he was told last.
    """
    if not marks.lock_conversations(numbers=[conversation]):
        raise ConversationNotFound
    now_ms = clock()
    before = {key: found for key, found in patches.load([message_id]).items() if found.conversation == conversation}
    message = judge(before.get(message_id))
    Message.objects.filter(pk=message_id).delete()
    if not message.is_recalled:
        gone = message._replace(is_recalled=True, mentions=Mentions())
        rosters = positions.rosters(conversations=[conversation])
        patches.move_marks(before, {message_id: gone}, rosters, now_ms)

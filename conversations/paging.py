"""The pages of silenced, blocked and refused ones, as both the wire and REST ask for them: `limit` and `next`."""

from conversations.services.moderation import Page
from imcore import limits
from imcore.errors import ConversationRequestInvalid


def place_of(text: str) -> int:
    """Read `next`, empty for the first page: decimal, for Java parses it (P33). Raises ConversationRequestInvalid."""
    if not text:
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ConversationRequestInvalid("next is what the page before said.")
    return int(text)


def page_size(limit: int) -> int:
    """Return how many a page has, if this many are asked for; 0 and less say nothing."""
    return min(limit, limits.LIST_PAGE_MAX) if limit > 0 else limits.LIST_PAGE_DEFAULT


def next_of(page: Page) -> dict[str, str]:
    """Return what tells where the next page begins; nothing on the last one (3.4)."""
    return {} if page.next_after is None else {"next": str(page.next_after)}

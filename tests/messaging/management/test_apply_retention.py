"""`manage.py apply_retention`, as an operator uses it, and the daily job."""

import io

import pytest
from django.core.management import CommandError, call_command

from conversations.models import Conversation, ConversationSettings
from imcore import identifiers
from imcore.models import Application
from messaging import tasks
from messaging.management.commands import apply_retention
from messaging.models import Message
from tests.messaging.storage.drafts import new_conversation

OLD_MS = 1_000_000_000_000


@pytest.fixture
def old(application: Application) -> int:
    """The number of a conversation nobody has used for years, with two messages."""
    conversation = new_conversation(application, "tom", "jerry")
    Conversation.objects.filter(pk=conversation.pk).update(updated_ms=OLD_MS, last_message_ms=OLD_MS, last_seq=2)
    for seq in (1, 2):
        Message.objects.create(
            message_id=identifiers.message_id(OLD_MS), application=application, conversation_id=conversation.pk,
            seq=seq, timestamp_ms=OLD_MS + seq, sender="tom", text="old",
        )  # fmt: skip
    return conversation.pk


def printed(*arguments: str) -> list[str]:
    """Run the command and return the lines it printed."""
    output = io.StringIO()
    call_command("apply_retention", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_a_dry_run_tells_and_a_run_does(application: Application, old: int) -> None:
    """By LeanCloud's 180 days, which are the default; a second run finds nothing."""
    app_id = application.app_id

    assert printed("--dry-run", app_id) == [f"{app_id}: to delete: 2 messages, 1 conversations"]
    assert Conversation.objects.filter(pk=old).exists()
    assert printed(app_id) == [f"{app_id}: deleted: 2 messages, 1 conversations"]
    assert printed(app_id) == [f"{app_id}: deleted: 0 messages, 0 conversations"]
    assert not Message.objects.filter(conversation_id=old).exists()


def test_without_an_app_id_it_goes_through_all(application: Application, old: int) -> None:
    """One line each."""
    another = Application.objects.create(name="another")

    lines = printed("--dry-run")

    assert f"{application.app_id}: to delete: 2 messages, 1 conversations" in lines
    assert f"{another.app_id}: to delete: 0 messages, 0 conversations" in lines


def test_a_long_run_tells_how_far_it_is(application: Application, old: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line every so many conversations, and the sum."""
    monkeypatch.setattr(apply_retention, "LINE_EVERY", 1)

    assert printed("--dry-run", application.app_id) == [
        f"{application.app_id}: looked at 1 conversations, to delete so far: 2 messages, 1 conversations",
        f"{application.app_id}: to delete: 2 messages, 1 conversations",
    ]


def test_an_unknown_application_is_said_to_be_unknown() -> None:
    """Not nothing, which would read as success."""
    with pytest.raises(CommandError, match="no-such-app"):
        printed("no-such-app")


def test_the_daily_job_does_the_same_and_may_run_twice(application: Application, old: int) -> None:
    """For every application, by its own settings."""
    ConversationSettings.objects.create(application=application, inactive_conversation_days=0)

    tasks.apply_retention()
    tasks.apply_retention()

    assert Conversation.objects.filter(pk=old).exists()
    assert not Message.objects.filter(conversation_id=old).exists(), "the messages have their own 180 days"


def test_the_job_for_expired_conversations_may_run_twice(application: Application) -> None:
    """Every five minutes, so that they do not pile up until the night."""
    conversation = new_conversation(application, "tom")
    Conversation.objects.filter(pk=conversation.pk).update(expires_ms=1)

    tasks.delete_expired()
    tasks.delete_expired()

    assert not Conversation.objects.filter(pk=conversation.pk).exists()

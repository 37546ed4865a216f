"""`session/open`, `close`, `refresh`, `query`."""

from datetime import UTC, datetime
from functools import partial

from conversations.services import rooms
from imcore import limits
from imcore.delivery.node import node
from imcore.errors import ImError, SessionTokenExpired, SignatureFailed
from imcore.gateway.connection import Context, Session
from imcore.gateway.registry import command, failed_with_error
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand
from imcore.signatures import Signature
from messaging.events import SessionsEnded
from messaging.services import catching_up, clients, sessions, wills


def failed_open(request: GenericCommand, error: ImError) -> GenericCommand:
    """Tell that an open failed (realtime-protocol 4.1.1).

    To Java's re-open without `i` only a wrong signature or token may be told as an `error`; anything else as `closed`.
    """
    if request.HasField("i") or isinstance(error, SignatureFailed | SessionTokenExpired):
        return failed_with_error(request, error)
    body = SessionCommand(code=error.code, reason=error.reason)
    if error.detail:
        body.detail = error.detail
    return GenericCommand(cmd=CommandType.session, op=OpType.closed, sessionMessage=body)


@command(
    CommandType.session,
    OpType.open,
    needs_session=False,
    failure=failed_open,
    answers_without_serial=True,
    throttle=None,
)
async def open_session(context: Context, request: GenericCommand) -> GenericCommand:
    """Sign a client in (realtime-protocol 4.1.1).

    An open for a client that is signed in on this connection already takes the old session's place, so nothing is
    delivered twice. Other devices with its tag are looked at when it is on line (`sessions.claim_tag`).
    """
    asked = request.sessionMessage
    bitmap = asked.configBitmap if asked.HasField("configBitmap") else None
    now = datetime.now(UTC)
    if asked.st:
        signed_in = await sessions.open_with_token(
            application=context.application,
            client_id=context.client_id,
            token=asked.st,
            config_bitmap=bitmap,
            now=now,
        )
    else:
        signed_in = await sessions.open_session(
            application=context.application,
            client_id=context.client_id,
            identity=asked.deviceId or asked.deviceToken,
            tag=asked.tag,
            config_bitmap=bitmap,
            user_agent=asked.ua,
            signature=Signature(asked.s, asked.t, asked.n),
            # An anonymous client's id is made up here: its signature covers an empty one.
            signed_client_id=request.peerId,
            is_return=asked.r,
            now=now,
        )
    device = signed_in.device
    session = Session(
        context.connection,
        client_id=context.client_id,
        device=device.pk,
        token_generation=device.generation,
        tag=device.tag,
        config_bitmap=device.config_bitmap,
        key=signed_in.key,
    )
    is_return = bool(asked.st or asked.r or context.lane.session is not None)
    # Clients take it as their position: nothing that reaches the session from now on may be older.
    opened_ms, began_ms = node.clock.next_ms(), now_ms()
    was_here = context.lane.session is not None and context.lane.session.is_caught_up
    try:
        await context.connection.open_session(context.lane, session)
        await sessions.check_signature(
            application=context.application, client_id=context.client_id, signed_in=signed_in
        )
        evicted = await sessions.claim_tag(
            application=context.application, client_id=context.client_id, signed_in=signed_in, is_return=asked.r
        )
        context.after_reply.append(
            partial(sessions.tell_evicted, application=context.application.pk, evicted=evicted),
        )
        await rooms.come_back(
            application=context.application.pk,
            session=session,
            is_return=is_return,
            now_ms=began_ms,
        )
        missed = await catching_up.load(
            application=context.application,
            client_id=context.client_id,
            device=device.pk,
            generation=device.generation,
            capabilities=session.config_bitmap,
            was_here=was_here,
            unread_since_ms=asked.lastUnreadNotifTime,
            patched_since_ms=asked.lastPatchTime,
            now_ms=began_ms,
        )
        if missed.device.has_will:
            wills.become_mortal(session=session)
        if missed.device.is_signed_in:
            context.after_reply.append(partial(session.catch_up, missed.events, missed.told))
        else:
            why = await sessions.ended(
                application=context.application.pk, client_id=context.client_id, device=device.pk
            )
            context.after_reply.append(partial(_end, session, why))
    except BaseException:
        # The client is told that it failed, so nobody else may be told that it is here.
        context.connection.close_session(context.lane)
        raise
    context.connection.logged_in()
    reply = _answer(OpType.opened, st=signed_in.token.text, stTtl=signed_in.token.ttl_seconds)
    reply.serverTs = opened_ms
    return reply


@command(CommandType.session, OpType.close, throttle=None)
async def close(context: Context, request: GenericCommand) -> GenericCommand:
    """Sign the client out here and void its tokens. JavaScript waits for the reply before it drops the socket."""
    session = context.session  # which the server may end meanwhile
    # Before anything is waited for: the socket may go meanwhile, and the client has said that it is not lost.
    has_will, session.has_will = session.has_will, False
    try:
        await rooms.sign_out(application=context.application.pk, session=session)
        await sessions.close(device=session.device)
    except BaseException:
        session.has_will = has_will
        raise
    context.after_reply.append(lambda: context.connection.close_session(context.lane))
    return _answer(OpType.closed)


@command(CommandType.session, OpType.refresh, throttle=None)
async def refresh(context: Context, request: GenericCommand) -> GenericCommand:
    """Issue a new token. The open session is the authorisation; the old token is usually expired (P13a)."""
    token = sessions.issue_token(
        application=context.application,
        device=context.session.device,
        generation=context.session.token_generation,
        now=datetime.now(UTC),
    )
    return _answer(OpType.refreshed, st=token.text, stTtl=token.ttl_seconds)


@command(CommandType.session, OpType.query)
async def query(context: Context, request: GenericCommand) -> GenericCommand:
    """Tell which of at most 20 clients are on line; further ids are ignored."""
    asked = dict.fromkeys(request.sessionMessage.sessionPeerIds[: limits.ONLINE_QUERY_MAX_CLIENTS])
    online = await clients.online(application=context.application.pk, client_ids=list(asked))
    return _answer(OpType.query_result, onlineSessionPeerIds=online)


def _end(session: Session, why: ImError) -> None:
    """End a session whose device was signed out before it could be found, as those are ended that are found.

    One that was found before this was known has been told already, with the words of who has ended it.
    """
    if session.is_over:
        session.catch_up((), {})
        return
    session.tell(SessionsEnded(to=(session.client_id,), code=why.code, reason=why.reason))
    session.end()


def _answer(op: OpType, **fields: object) -> GenericCommand:
    body = SessionCommand(**fields)  # type: ignore[arg-type]
    return GenericCommand(cmd=CommandType.session, op=op, sessionMessage=body)

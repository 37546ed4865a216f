// What a back end says over HTTP in clients' names, edits, recalls and deletes, as the SDK's clients live it.
//
// IMCORE_MASTER_KEY: the application's. Clients may neither edit nor recall in it.

import { Event, arrival, another, assert, backEnd, connect, eventually, finish, next, ok } from './journey.mjs';
import { own, sdk, settled, texts } from './journey.mjs';

const { TextMessage, RecalledMessage } = sdk;
const jerrysSdk = another();
const Tom = await connect().createIMClient(own('Tom'));
const Jerry = await connect({}, jerrysSdk).createIMClient(own('Jerry'));
const chat = await Tom.createConversation({ members: [Jerry.id], name: 'Tom & Jerry' });
const jerrys = await Jerry.getConversation(chat.id);

const messages = (of) => `${of.transient ? 'chatrooms' : 'conversations'}/${of.id}/messages`;
const say = (of, from, text, more = {}) =>
  backEnd('POST', messages(of), { from_client: from, message: { _lctype: -1, _lctext: text }, ...more });
const named = (from, sent, more = {}) => ({ from_client: from, timestamp: sent.timestamp, ...more });

let both = [arrival(Tom, 'from the back end'), arrival(Jerry, 'from the back end')];
const sent = await say(chat, Tom.id, 'from the back end', { mention_client_ids: [Jerry.id] });
for (const message of await Promise.all(both)) {
  assert.deepEqual([message.id, message.from, message.cid], [sent['msg-id'], Tom.id, chat.id]);
  assert.equal(message.timestamp.getTime(), sent.timestamp);
}
await eventually(() => jerrys.unreadMessagesCount === 1 && jerrys.unreadMessagesMentioned, 'one unread, with a mention');
assert.equal(chat.unreadMessagesCount, 0);
ok('a message in my name: MESSAGE for everybody, me included; it is unread for the other one only');

both = [arrival(Jerry, 'boo')];
await say(chat, own('ghost'), 'boo');
await both[0];
await eventually(() => jerrys.unreadMessagesCount === 2 && chat.unreadMessagesCount === 1, 'both count it');
ok('a message of somebody who is no member');

const tomHeard = [];
Tom.on(Event.MESSAGE, (message) => tomHeard.push(message.text));
both = [arrival(Jerry, 'not for me')];
await say(chat, Tom.id, 'not for me', { no_sync: true });
await both[0];
await settled(Tom);
assert.deepEqual(tomHeard, []);
ok('no_sync: my own device does not get it');

const path = `${messages(chat)}/${sent['msg-id']}`;
both = [next(Tom, Event.MESSAGE_UPDATE), next(Jerry, Event.MESSAGE_UPDATE)];
await backEnd('PUT', path, named(Tom.id, sent, { message: { _lctype: -1, _lctext: 'edited' } }));
for (const [message] of await Promise.all(both)) {
  assert.deepEqual([message.id, message.text, message.mentionList], [sent['msg-id'], 'edited', [Jerry.id]]);
}
ok('an edit: MESSAGE_UPDATE');

both = [next(Tom, Event.MESSAGE_RECALL), next(Jerry, Event.MESSAGE_RECALL)];
await backEnd('PUT', `${path}/recall`, named(Tom.id, sent));
const [[toTom], [toJerry]] = await Promise.all(both);
assert.ok(toTom instanceof RecalledMessage);
assert.ok(toJerry instanceof jerrysSdk.RecalledMessage);
await eventually(() => jerrys.unreadMessagesCount === 2 && !jerrys.unreadMessagesMentioned, 'it counts no more');
ok('a recall: MESSAGE_RECALL, and the count is right');

const jerryHeard = [];
for (const event of [Event.MESSAGE_UPDATE, Event.MESSAGE_RECALL]) Jerry.on(event, () => jerryHeard.push(event));
await backEnd('DELETE', path, named(Tom.id, sent));
await settled(Jerry);
assert.deepEqual(jerryHeard, []);
assert.deepEqual(texts(await jerrys.queryMessages()), ['boo', 'not for me']);
ok('a deletion: nobody is told, and history has it no more');

const room = await Tom.createChatRoom({ name: 'room' });
await (await Jerry.getConversation(room.id)).join();
both = [arrival(Jerry, 'to the room')];
await say(room, Tom.id, 'to the room', { priority: 'high' });
await both[0];
await settled(Tom);
assert.deepEqual(tomHeard, []);
assert.deepEqual(texts(await room.queryMessages()), ['to the room']);
ok('a chat room hears what is said in my name, and I do not');

const last = arrival(Jerry, 'and I go on');
await chat.send(new TextMessage('and I go on'));
await last;

finish('A back end speaks.');

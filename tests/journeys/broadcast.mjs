// What a service says to everybody, over HTTP: to who is on line and never subscribed, and to who is away.
//
// IMCORE_MASTER_KEY: the application's. What is said is valid for all of its clients until this deletes it.

import { Event, another, arrival, assert, backEnd, connect, eventually, finish, next, ok, own, sdk } from './journey.mjs';

const { SYSTEM } = process.env;

const Tom = await connect().createIMClient(own('Tom'));
const jerrys = own('Jerry');
await (await connect({}, another()).createIMClient(jerrys)).close();

const text = own('for all');
const toTom = arrival(Tom, text);
const sent = await backEnd('POST', 'broadcasts', {
  from_client: 'news',
  conv_id: SYSTEM,
  message: { _lctype: -1, _lctext: text },
});
const message = await toTom;
assert.deepEqual([message.id, message.cid, message.from], [sent['msg-id'], SYSTEM, 'news']);
assert.ok((await Tom.getConversation(SYSTEM)) instanceof sdk.ServiceConversation);
ok('who is on line hears it, without having subscribed');

const Jerry = await connect({}, another()).createIMClient(jerrys);
const [[waiting]] = await next(Jerry, Event.UNREAD_MESSAGES_COUNT_UPDATE);
assert.deepEqual([waiting.id, waiting.unreadMessagesCount, waiting.lastMessage.text], [SYSTEM, 1, text]);
await waiting.read();
await Jerry.close();
ok('who was away is told when it opens');

const [listed] = await backEnd('GET', `broadcasts?conv_id=${SYSTEM}`);
assert.deepEqual([listed['msg-id'], JSON.parse(listed.data)._lctext], [sent['msg-id'], text]);
await backEnd('DELETE', `broadcasts/${sent['msg-id']}`);
await eventually(async () => (await backEnd('GET', `broadcasts?conv_id=${SYSTEM}`)).length === 0, 'it is deleted');
const heard = [];
const Mary = await connect({}, another()).createIMClient(own('Mary'));
Mary.on(Event.UNREAD_MESSAGES_COUNT_UPDATE, (conversations) => heard.push(conversations));
await Mary.ping([Mary.id]);
assert.deepEqual(heard, []);
ok('once it is deleted, nobody new is told');
finish('Everybody knows.');

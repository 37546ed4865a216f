// Transient messages, mentions, priorities (see rooms.mjs too) and the bound of a message, as the guide describes them.

import { Event, another, arrival, assert, connect, eventually, failure, finish } from './journey.mjs';
import { ok, own, sdk, texts } from './journey.mjs';

const { MessagePriority, TextMessage } = sdk;
const realtime = connect();
const clients = {};
for (const name of ['Tom', 'Jerry', 'Mary']) clients[name] = await realtime.createIMClient(own(name));
const { Tom, Jerry, Mary } = clients;
const phoneSdk = another();
const phone = await connect({}, phoneSdk).createIMClient(Tom.id);
const chat = await Tom.createConversation({ members: [Jerry.id, Mary.id], name: 'Tom & Jerry & Mary' });
const [jerrys, marys] = [await Jerry.getConversation(chat.id), await Mary.getConversation(chat.id)];
const lastOf = async (client) => {
  const [found] = await client.getQuery().withLastMessagesRefreshed().equalTo('objectId', chat.id).find();
  return found.lastMessage?.text;
};
const heardBy = (text, ...hearers) => Promise.all(hearers.map((client) => arrival(client, text)));

let coming = heardBy('first', Jerry, Mary, phone);
await chat.send(new TextMessage('first'));
await coming;
const lateSdk = another();
coming = heardBy('typing …', Jerry, Mary, phone);
const typing = await chat.send(new TextMessage('typing …'), { transient: true });
assert.equal(typing.status, sdk.MessageStatus.SENT);
for (const message of await coming) {
  assert.deepEqual([message.text, message.from, message.id], ['typing …', Tom.id, typing.id]);
}
const late = await connect({}, lateSdk).createIMClient(Jerry.id);
const lates = await late.getConversation(chat.id);
const onLate = [];
late.on(Event.MESSAGE, (message) => onLate.push(message.text));
assert.deepEqual(texts(await jerrys.queryMessages()), ['first']);
assert.equal(await lastOf(Mary), 'first');
coming = heardBy('second', late, Jerry, Mary, phone);
await chat.send(new TextMessage('second'));
await coming;
assert.deepEqual(onLate, ['second']);
assert.deepEqual(texts(await lates.queryMessages()), ['first', 'second']);
ok('a transient message reaches who is online, on all devices, and nobody later; it is no last message');

await Promise.all([jerrys.read(), marys.read()]);
assert.deepEqual([jerrys.unreadMessagesMentioned, jerrys.unreadMessagesCount], [false, 0]);
coming = heardBy('@Jerry 早点回家', Jerry, Mary, phone);
await chat.send(new TextMessage('@Jerry 早点回家').setMentionList([Jerry.id, own('Stranger')]));
let [toJerry, toMary, toPhone] = await coming;
assert.deepEqual(toJerry.mentionList, [Jerry.id, own('Stranger')]);
assert.deepEqual([toJerry, toMary, toPhone].map((message) => message.mentioned), [true, false, false]);
assert.deepEqual([toJerry, toMary, toPhone].map((message) => Boolean(message.mentionedAll)), [false, false, false]);
assert.deepEqual([jerrys, marys].map((one) => Boolean(one.unreadMessagesMentioned)), [true, false]);
ok('a mention says so to whom it names, and to nobody else');
coming = heardBy('@all', Jerry, Mary, phone);
await chat.send(new TextMessage('@all').mentionAll());
[toJerry, toMary, toPhone] = await coming;
assert.deepEqual([toJerry, toMary, toPhone].map((message) => message.mentionedAll), [true, true, true]);
assert.deepEqual([toJerry, toMary, toPhone].map((message) => message.mentioned), [true, true, false]);
assert.deepEqual([jerrys, marys].map((one) => one.unreadMessagesMentioned), [true, true]);
const kept = await marys.queryMessages({ limit: 3 });
assert.deepEqual(kept.map((message) => message.mentionList), [[], [Jerry.id, own('Stranger')], []]);
assert.deepEqual(kept.map((message) => Boolean(message.mentionedAll)), [false, false, true]);
await jerrys.read();
assert.deepEqual([jerrys.unreadMessagesMentioned, marys.unreadMessagesMentioned], [false, true]);
ok('all are mentioned, but for the sender; history knows who was; reading clears it');

for (const [name, priority] of Object.entries(MessagePriority)) {
  coming = heardBy(name, Jerry, Mary, phone);
  await chat.send(new TextMessage(name), { priority });
  assert.deepEqual(texts(await coming), [name, name, name]);
}
ok('every priority is taken, though it matters in chat rooms only');

const big = new TextMessage('x'.repeat(5121));
assert.equal((await failure(chat.send(big))).code, 4109);
assert.equal(big.status, sdk.MessageStatus.FAILED);
const long = 'x'.repeat(3000);
assert.equal((await failure(chat.send(new TextMessage(long), { pushData: { alert: long } }))).code, 4109);
coming = heardBy(long, Jerry, Mary, phone);
await chat.send(new TextMessage(long), { pushData: { alert: 'short' } });
assert.deepEqual(texts(await coming), [long, long, long]);
await eventually(async () => (await lastOf(Jerry)) === long, 'it is the last message');
ok('above 5 KB, push data counted in: 4109, and the connection goes on');
finish('All was heard by whom it concerned.');

// Reading back: pages in both directions, iterators, types, bounds.

import { assert, connect, finish, ok, own, sdk } from './journey.mjs';

const { MessageQueryDirection, TextMessage, TypedMessage, messageField, messageType } = sdk;

class Picture extends TypedMessage {
  constructor(url) {
    super();
    this.url = url;
  }
}
messageField('url')(Picture);
messageType(7)(Picture);

const realtime = connect();
realtime.register(Picture);
const max = await realtime.createIMClient(own('Max'));
const chat = await max.createConversation({ members: [own('Nora')] });

const sent = [];
for (let i = 0; i < 25; i += 1) sent.push(await chat.send(i % 5 === 4 ? new Picture(`/${i}.png`) : new TextMessage(`${i}`)));
const ids = (messages) => messages.map((message) => message.id);
const all = ids(sent);
for (let i = 1; i < sent.length; i += 1) assert.ok(sent[i].timestamp > sent[i - 1].timestamp);

assert.deepEqual(ids(await chat.queryMessages()), all.slice(-20));
assert.deepEqual(ids(await chat.queryMessages({ limit: 3 })), all.slice(-3));
assert.deepEqual(ids(await chat.queryMessages({ limit: 100 })), all);
assert.deepEqual(await chat.queryMessages({ limit: 0 }), []);
ok('the newest page, ascending');

const iterate = async (iterator) => {
  const pages = [];
  for (;;) {
    const { value, done } = await iterator.next();
    pages.push(ids(value));
    if (done) return pages;
  }
};
assert.deepEqual(await iterate(chat.createMessagesIterator({ limit: 10 })), [all.slice(15), all.slice(5, 15), all.slice(0, 5)]);
const before = { beforeTime: sent[10].timestamp, beforeMessageId: sent[10].id, limit: 4 };
assert.deepEqual(await iterate(chat.createMessagesIterator(before)), [all.slice(6, 10), all.slice(2, 6), all.slice(0, 2)]);
ok('createMessagesIterator: back to the beginning');

const upward = { direction: MessageQueryDirection.OLD_TO_NEW, limit: 10 };
assert.deepEqual(ids(await chat.queryMessages(upward)), all.slice(0, 10));
const from = (message, more = {}) => ({ startTime: message.timestamp, startMessageId: message.id, ...more });
assert.deepEqual(ids(await chat.queryMessages({ ...upward, ...from(sent[9]) })), all.slice(10, 20));
assert.deepEqual(ids(await chat.queryMessages({ ...upward, ...from(sent[9], { startClosed: true }) })), all.slice(9, 19));
assert.deepEqual(ids(await chat.queryMessages({ ...upward, ...from(sent[24]) })), []);
ok('from old to new, open and closed');

const between = { ...from(sent[18]), endTime: sent[12].timestamp, endMessageId: sent[12].id };
assert.deepEqual(ids(await chat.queryMessages(between)), all.slice(13, 18));
assert.deepEqual(ids(await chat.queryMessages({ ...between, startClosed: true, endClosed: true })), all.slice(12, 19));
const rising = { ...from(sent[12]), endTime: sent[18].timestamp, limit: 3 };
assert.deepEqual(ids(await chat.queryMessages(rising)), all.slice(13, 16));
ok('between two messages; startTime before endTime turns the direction');

const pictures = await chat.queryMessages({ type: Picture.TYPE, limit: 3 });
assert.deepEqual(pictures.map((message) => message.url), ['/14.png', '/19.png', '/24.png']);
assert.ok(pictures.every((message) => message instanceof Picture));
assert.equal((await chat.queryMessages({ type: TextMessage.TYPE, limit: 100 })).length, 20);
assert.deepEqual(await chat.queryMessages({ type: 99 }), []);
ok('by type');
finish('History is as it was.');

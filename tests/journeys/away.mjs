// A day off line: 150 messages in 60 conversations, and a conversation with more than anybody counts.

import { Event, another, assert, connect, eventually, finish, next, ok, own, sdk, settled } from './journey.mjs';

const { TextMessage } = sdk;
const Tom = await connect().createIMClient(own('Tom'));
const herself = own('Mary');
const COUNTED = 100;
const TOLD = 50;

const start = (name) => Tom.createConversation({ members: [herself], name, unique: false });
const busy = await start('busy');
const chats = [];
for (let i = 0; i < 60; i += 1) chats.push(await start(`${i}`));
for (let i = 0; i < COUNTED + 5; i += 1) await busy.send(new TextMessage(`busy ${i}`));
// Two in the even ones, three in the odd ones; the last of each in an order of its own.
const unread = (i) => 2 + (i % 2);
for (let round = 1; round < 3; round += 1) {
  for (const [i, chat] of chats.entries()) if (round < unread(i)) await chat.send(new TextMessage(`${i}: ${round}`));
}
const order = chats.map((_, i) => (i * 7) % 60);
for (const i of order) {
  const message = new TextMessage(`${i}: last`);
  await chats[i].send(i % 10 ? message : message.setMentionList([herself]));
}
assert.equal(order.reduce((sum, i) => sum + unread(i), 0), 150);
await busy.send(new TextMessage('busy: last'));

const login = async () => {
  const Mary = await connect({}, another()).createIMClient(herself);
  const [conversations] = await next(Mary, Event.UNREAD_MESSAGES_COUNT_UPDATE);
  return { Mary, conversations };
};
const rows = (conversations) =>
  conversations.map((one) => [
    ...[one.name, one.unreadMessagesCount, Boolean(one.unreadMessagesMentioned), one.lastMessage.text],
  ]);
const expected = order.reverse().map((i) => [`${i}`, unread(i), i % 10 === 0, `${i}: last`]);
const { Mary, conversations } = await login();
assert.deepEqual(rows(conversations), [['busy', COUNTED, false, 'busy: last'], ...expected.slice(0, TOLD - 1)]);
ok('the 50 newest of 61, each with its count, whether it mentions her, and its last message; 106 show as 100');

// She reads them all; the next time she is told of the rest.
for (const conversation of conversations) await conversation.read();
const readAt = (conversation) => conversation.fetchReceiptTimestamps().then(({ lastReadAt }) => lastReadAt);
const last = chats[Number(conversations.at(-1).name)];
const isLastRead = async () => (await readAt(last)) >= last.lastMessageAt && (await readAt(busy)) >= busy.lastMessageAt;
await eventually(isLastRead, 'she has read it');
await settled(Mary);
const news = next(Mary, Event.UNREAD_MESSAGES_COUNT_UPDATE);
await busy.send(new TextMessage('one more'));
assert.deepEqual(rows((await news)[0]), [['busy', 1, false, 'one more']]);
await Mary.close();
const second = await login();
assert.deepEqual(rows(second.conversations), [['busy', 1, false, 'one more'], ...expected.slice(TOLD - 1)]);
ok('when these are read, the next login tells of the others');
finish('The day is caught up with.');

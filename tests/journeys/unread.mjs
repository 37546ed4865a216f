// Counts of unread messages: live, at login, after a lost connection, and the same on all devices.

import { Event, another, assert, connect, eventually, finish, next, ok, own, sdk, settled } from './journey.mjs';

const { TextMessage } = sdk;
const Tom = await connect().createIMClient(own('Tom'));
const phoneSdk = another();
const phones = connect({}, phoneSdk);
const phone = await phones.createIMClient(own('Jerry'));
const laptop = await connect({}, another()).createIMClient(phone.id);
const chat = await Tom.createConversation({ members: [phone.id], name: 'Tom & Jerry' });
const other = await Tom.createConversation({ members: [phone.id, own('Mary')], name: 'Tom & Jerry & Mary' });
const [onPhone, onLaptop] = [await phone.getConversation(chat.id), await laptop.getConversation(chat.id)];
const { UNREAD_MESSAGES_COUNT_UPDATE } = Event;
const told = (client, count) =>
  next(client, UNREAD_MESSAGES_COUNT_UPDATE, (conversations) =>
    conversations.some(({ id, unreadMessagesCount }) => id === chat.id && unreadMessagesCount === count),
  );
// What reads a conversation is not answered; that it was read shows here.
const isRead = () =>
  eventually(async () => (await chat.fetchReceiptTimestamps()).lastReadAt >= chat.lastMessageAt, 'it is read');
const say = async (text, conversation = chat) => conversation.send(new TextMessage(text));

let counts = [told(phone, 1), told(laptop, 1)];
await say('one');
await Promise.all(counts);
counts = [told(phone, 2), told(laptop, 2)];
await say('two');
await Promise.all(counts);
assert.deepEqual([onPhone.unreadMessagesCount, onLaptop.unreadMessagesCount], [2, 2]);
ok('each message that comes raises the count on every device');

counts = [told(laptop, 0)];
await onPhone.read();
await Promise.all(counts);
assert.deepEqual([onPhone.unreadMessagesCount, onLaptop.unreadMessagesCount], [0, 0]);
assert.equal(onLaptop.lastMessage.text, 'two');
ok('reading on one device clears it on the other');

const [onTom, copy] = [next(Tom, Event.MESSAGE), next(laptop, Event.MESSAGE)];
await onPhone.send(new phoneSdk.TextMessage('my own do not count'));
await Promise.all([onTom, copy]);
assert.deepEqual([onPhone.unreadMessagesCount, onLaptop.unreadMessagesCount], [0, 0]);
await settled(phone);

phones.pause();
counts = [told(laptop, 1)];
await say('while the phone is away');
await say('@Jerry', other);
await other.send(new TextMessage('@all').mentionAll());
await Promise.all(counts);
const others = await laptop.getConversation(other.id);
await eventually(() => others.unreadMessagesCount === 2, 'the laptop has them');
let back = next(phone, Event.RECONNECT);
const atReturn = next(phone, UNREAD_MESSAGES_COUNT_UPDATE);
phones.resume();
await back;
const [conversations] = await atReturn;
const rows = (list) =>
  list.map((one) => [one.name, one.unreadMessagesCount, Boolean(one.unreadMessagesMentioned), one.lastMessage.text]);
assert.deepEqual(rows(conversations), [
  ['Tom & Jerry & Mary', 2, true, '@all'],
  ['Tom & Jerry', 1, false, 'while the phone is away'],
]);
ok('back from a lost connection: what has changed, the newest first, with mentions and last messages');

phones.pause();
await others.read();
await onLaptop.read();
await isRead();
back = next(phone, Event.RECONNECT);
const cleared = told(phone, 0);
phones.resume();
await back;
await cleared;
await eventually(() => conversations.every((one) => one.unreadMessagesCount === 0), 'both are read');
assert.deepEqual(conversations.map((one) => Boolean(one.unreadMessagesMentioned)), [false, false]);
ok('and what was read meanwhile on the other device is read here');

await Promise.all([phone.close(), laptop.close()]);
await say('three');
await say('four');
const later = await connect({}, another()).createIMClient(phone.id);
const [atLogin] = await next(later, UNREAD_MESSAGES_COUNT_UPDATE);
assert.deepEqual(rows(atLogin), [['Tom & Jerry', 2, false, 'four']]);
await atLogin[0].read();
await isRead();
const tablet = await connect({}, another()).createIMClient(phone.id);
const tablets = await tablet.getConversation(chat.id);
await settled(tablet);
assert.equal(tablets.unreadMessagesCount, 0);
ok('a new device is told at login, and not of what is read');
finish('All devices count alike.');

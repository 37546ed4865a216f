// Who has received and read what, in a conversation of two.

import { Event, another, arrival, assert, connect, eventually, finish } from './journey.mjs';
import { next, ok, own, sdk, settled } from './journey.mjs';

const { MessageStatus, TextMessage } = sdk;
const phoneSdk = another();
const jerrysSdk = another();
const marysSdk = another();
const toms = connect();
const Tom = await toms.createIMClient(own('Tom'));
const phone = await connect({}, phoneSdk).createIMClient(Tom.id);
const Jerry = await connect({}, jerrysSdk).createIMClient(own('Jerry'));
const Mary = await connect({}, marysSdk).createIMClient(own('Mary'));
const chat = await Tom.createConversation({ members: [Jerry.id], name: 'Tom & Jerry' });
const [phones, jerrys] = [await phone.getConversation(chat.id), await Jerry.getConversation(chat.id)];
const { LAST_DELIVERED_AT_UPDATE, LAST_READ_AT_UPDATE } = Event;
const count = (conversation) => {
  const counts = { delivered: 0, read: 0 };
  conversation.on(LAST_DELIVERED_AT_UPDATE, () => (counts.delivered += 1));
  conversation.on(LAST_READ_AT_UPDATE, () => (counts.read += 1));
  return counts;
};
const say = async (conversation, text, options) => {
  const coming = arrival(Jerry, text);
  const sent = await conversation.send(new TextMessage(text), options);
  await coming;
  return sent;
};

let events = [chat, phones].map((conversation) => next(conversation, LAST_DELIVERED_AT_UPDATE));
const first = await say(chat, 'Did you get this?', { receipt: true });
await Promise.all(events);
assert.equal(first.status, MessageStatus.DELIVERED);
assert.ok(first.deliveredAt >= first.timestamp);
assert.deepEqual([chat.lastDeliveredAt, phones.lastDeliveredAt], [first.deliveredAt, first.deliveredAt]);
assert.deepEqual([chat.lastReadAt, phones.lastReadAt], [undefined, undefined]);
ok('LAST_DELIVERED_AT_UPDATE on all devices of the sender, by itself; the message is DELIVERED');

events = [chat, phones].map((conversation) => next(conversation, LAST_READ_AT_UPDATE));
await jerrys.read();
await Promise.all(events);
assert.ok(chat.lastReadAt >= first.deliveredAt);
assert.deepEqual(phones.lastReadAt, chat.lastReadAt);
ok('LAST_READ_AT_UPDATE on all devices of the sender, when it is read');

const [kept] = await chat.queryMessages();
assert.deepEqual([kept.id, kept.status, kept.deliveredAt], [first.id, MessageStatus.DELIVERED, first.deliveredAt]);
const tabletSdk = another();
const tablet = await connect({}, tabletSdk).createIMClient(Tom.id);
const tablets = await tablet.getConversation(chat.id);
assert.deepEqual([tablets.lastDeliveredAt, tablets.lastReadAt], [undefined, undefined]);
await tablets.fetchReceiptTimestamps();
for (const at of [tablets.lastDeliveredAt, tablets.lastReadAt]) {
  assert.ok(at >= first.timestamp && at <= chat.lastReadAt);
}
const laptopSdk = another();
const laptop = await connect({}, laptopSdk).createIMClient(Tom.id);
const laptops = await laptop.getConversation(chat.id);
const [again] = await laptops.queryMessages();
assert.deepEqual([again.status, again.deliveredAt], [laptopSdk.MessageStatus.DELIVERED, first.deliveredAt]);
assert.deepEqual([laptops.lastDeliveredAt, laptops.lastReadAt], [chat.lastDeliveredAt, chat.lastReadAt]);
ok('who was not there learns it by fetchReceiptTimestamps, or from history');

// What Jerry has received is seen by somebody who gets no events for it.
const delivered = async (conversation, id) =>
  eventually(async () => {
    const messages = await conversation.queryMessages();
    return messages.find((message) => message.id === id).deliveredAt;
  }, 'it has been delivered');
const counts = count(chat);
const before = [chat.lastDeliveredAt, chat.lastReadAt];
const silent = await say(chat, 'no receipt, please');
await delivered(laptops, silent.id);
await settled(Tom);
assert.deepEqual([counts, silent.status], [{ delivered: 0, read: 0 }, MessageStatus.SENT]);
assert.deepEqual([chat.lastDeliveredAt, chat.lastReadAt], before);
ok('without `receipt` the sender is not told, though history knows');

const three = await Tom.createConversation({ members: [Jerry.id, Mary.id], name: 'three' });
const threeCounts = count(three);
const crowded = arrival(Mary, 'to all of you');
const group = await say(three, 'to all of you', { receipt: true });
await crowded;
await delivered(await laptop.getConversation(three.id), group.id);
await (await Jerry.getConversation(three.id)).read();
events = [chat, phones].map((conversation) => next(conversation, LAST_READ_AT_UPDATE));
await say(chat, 'and to you', { receipt: true });
await jerrys.read();
await Promise.all(events);
await settled(Tom);
assert.deepEqual([threeCounts, group.status], [{ delivered: 0, read: 0 }, MessageStatus.SENT]);
ok('nor is he where there are more than two');

const unread = await say(chat, 'I have to go', { receipt: true });
await eventually(() => unread.status === MessageStatus.DELIVERED, 'it has been delivered');
toms.pause();
await eventually(async () => (await Jerry.ping([Tom.id])).length === 1, 'his other devices are there');
const seen = next(phones, LAST_READ_AT_UPDATE);
await jerrys.read();
await seen;
const [back, known] = [next(Tom, Event.RECONNECT), next(chat, LAST_READ_AT_UPDATE)];
toms.resume();
await Promise.all([back, known]);
assert.deepEqual(chat.lastReadAt, phones.lastReadAt);
assert.ok(chat.lastReadAt >= unread.timestamp);
ok('who was away is told on his return what has been read meanwhile');
finish('Everybody knows who knows.');

// Messages that their author edits and recalls. Needs an application where that is allowed.

import { Event, another, arrival, assert, connect, eventually, failure, finish } from './journey.mjs';
import { next, ok, own, sdk, settled, texts } from './journey.mjs';

const { BinaryMessage, MessageStatus, RecalledMessage, TextMessage } = sdk;
const phoneSdk = another();
const jerrysSdk = another();
const jerrysConnection = connect({}, jerrysSdk);
const Tom = await connect().createIMClient(own('Tom'));
const phone = await connect({}, phoneSdk).createIMClient(Tom.id);
const Jerry = await jerrysConnection.createIMClient(own('Jerry'));
const chat = await Tom.createConversation({ members: [Jerry.id], name: 'Tom & Jerry' });
const [phones, jerrys] = [await phone.getConversation(chat.id), await Jerry.getConversation(chat.id)];

// What each hears of changed messages, in order.
const heard = { Tom: [], phone: [], Jerry: [] };
for (const [name, client] of Object.entries({ Tom, phone, Jerry })) {
  client.on(Event.MESSAGE_UPDATE, (message) => heard[name].push(`update ${message.text}`));
  client.on(Event.MESSAGE_RECALL, (message) => heard[name].push(`recall ${message.id}`));
}
const hears = async (expected) => {
  const enough = () => Object.entries(expected).every(([name, rows]) => heard[name].length >= rows.length);
  await eventually(enough, 'as many changes as expected').catch(() => {});
  await settled(Tom, phone, Jerry);
  assert.deepEqual(heard, expected);
  for (const rows of Object.values(heard)) rows.length = 0;
};
const lastOf = async (client) => {
  const [found] = await client.getQuery().withLastMessagesRefreshed().equalTo('objectId', chat.id).find();
  return found.lastMessage;
};
// What changed within two seconds before a client's position is told it again, so journeys that count wait that long.
const apart = () => new Promise((resolve) => setTimeout(resolve, 2100));
const say = async (text) => {
  const arrivals = Promise.all([arrival(phone, text), arrival(Jerry, text)]);
  const sent = await chat.send(new TextMessage(text));
  return { sent, phones: (await arrivals)[0] };
};

const first = await say('Helo');
let [toPhone, toJerry] = [next(phone, Event.MESSAGE_UPDATE), next(Jerry, Event.MESSAGE_UPDATE)];
const better = new TextMessage('Hello @Jerry').setAttributes({ draft: 2 }).setMentionList([Jerry.id]);
const edited = await chat.update(first.sent, better);
assert.deepEqual([edited.id, edited.timestamp], [first.sent.id, first.sent.timestamp]);
for (const [message, conversation, reason] of [await toPhone, await toJerry]) {
  assert.deepEqual([message.text, message.attributes, message.mentionList], ['Hello @Jerry', { draft: 2 }, [Jerry.id]]);
  assert.deepEqual([message.id, message.from, message.cid], [first.sent.id, Tom.id, chat.id]);
  assert.deepEqual(message.timestamp, first.sent.timestamp);
  assert.ok(message.updatedAt > message.timestamp);
  assert.deepEqual([conversation.id, conversation.lastMessage.text, reason], [chat.id, 'Hello @Jerry', undefined]);
}
assert.deepEqual([(await toPhone)[0].mentioned, (await toJerry)[0].mentioned], [false, true]);
assert.equal(jerrys.unreadMessagesCount, 1);
await hears({ Tom: [], phone: ['update Hello @Jerry'], Jerry: ['update Hello @Jerry'] });
ok('an edit: MESSAGE_UPDATE for the other one and for my other device; its time and its place stay');

for (const [client, conversation] of [[Jerry, jerrys], [phone, phones], [Tom, chat]]) {
  const [kept] = await conversation.queryMessages();
  assert.deepEqual(kept.mentionList, [Jerry.id]);
  for (const message of [kept, await lastOf(client)]) {
    assert.deepEqual([message.id, message.text], [first.sent.id, 'Hello @Jerry']);
    assert.deepEqual([message.timestamp, message.updatedAt], [first.sent.timestamp, (await toJerry)[0].updatedAt]);
  }
}
ok('history and the last message show what it says now');

await phones.update(first.phones, new phoneSdk.TextMessage('Hello from my phone'));
await hears({ Tom: ['update Hello from my phone'], phone: [], Jerry: ['update Hello from my phone'] });
assert.deepEqual((await jerrys.queryMessages())[0].mentionList, []);
ok('the other device edits it: this one hears of it, and whom it mentioned is replaced too');

await chat.update(edited, new BinaryMessage(Uint8Array.from([1, 0, 255]).buffer));
const [binary] = await chat.queryMessages();
assert.deepEqual([...new Uint8Array(binary.buffer)], [1, 0, 255]);
await eventually(() => heard.Jerry.length && heard.phone.length, 'both hear of it');
for (const rows of Object.values(heard)) rows.length = 0;
ok('an edit may make another kind of message of it');

await apart();
const second = await say('I wish I had not said this');
[toPhone, toJerry] = [next(phone, Event.MESSAGE_RECALL), next(Jerry, Event.MESSAGE_RECALL)];
const recalled = await chat.recall(second.sent);
assert.ok(recalled instanceof RecalledMessage);
assert.ok((await toPhone)[0] instanceof phoneSdk.RecalledMessage);
assert.ok((await toJerry)[0] instanceof jerrysSdk.RecalledMessage);
for (const [message, conversation, reason] of [await toPhone, await toJerry]) {
  assert.deepEqual([message.id, message.from, message.timestamp], [second.sent.id, Tom.id, second.sent.timestamp]);
  assert.deepEqual([conversation.lastMessage.type, reason], [RecalledMessage.TYPE, undefined]);
}
await eventually(() => jerrys.unreadMessagesCount === 1, 'it is not unread any more');
assert.ok((await jerrys.queryMessages({ limit: 1 }))[0] instanceof jerrysSdk.RecalledMessage);
assert.ok((await lastOf(Jerry)) instanceof jerrysSdk.RecalledMessage);
assert.equal((await lastOf(Tom)).id, second.sent.id);
assert.equal((await jerrys.queryMessages({ type: TextMessage.TYPE })).length, 0);
await hears({ Tom: [], phone: [`recall ${second.sent.id}`], Jerry: [`recall ${second.sent.id}`] });
ok('a recall: MESSAGE_RECALL, and nothing is left of it, in history, the last message and the count');

// The SDK itself refuses to touch the messages of others, but not what only looks like one.
const others = await jerrys.send(new jerrysSdk.TextMessage("Jerry's"));
const looks = ({ id, timestamp }) => ({ id, timestamp });
assert.equal((await failure(chat.update(looks(others), new TextMessage('mine now')))).code, 4403);
assert.equal((await failure(chat.recall(looks(others)))).code, 4403);
const unknown = { id: 'AAAAAAAAAAAAAAAAAAAAAA', timestamp: others.timestamp };
assert.equal((await failure(chat.update(unknown, new TextMessage('where?')))).code, 4404);
assert.equal((await failure(chat.recall(unknown))).code, 4404);
assert.deepEqual(texts(await chat.queryMessages({ limit: 1 })), ["Jerry's"]);
await hears({ Tom: [], phone: [], Jerry: [] });
ok('what is not mine: 4403; what is not there: 4404; nobody hears of it');

const [third, fourth, fifth] = [await say('three'), await say('four'), await say('five')];
jerrysConnection.pause();
await eventually(async () => (await Tom.ping([Jerry.id])).length === 0, 'Jerry is offline');
await chat.update(fourth.sent, new TextMessage('four, better'));
await chat.recall(third.sent);
await chat.update(fifth.sent, new TextMessage('five, better'));
const missed = await chat.send(new TextMessage('misssed'));
await chat.update(missed, new TextMessage('missed'));
await apart();
const back = next(Jerry, Event.RECONNECT);
jerrysConnection.resume();
await back;
const changes = ['update four, better', `recall ${third.sent.id}`, 'update five, better'];
await hears({
  Tom: [],
  phone: [...changes, 'update missed'],
  Jerry: [...changes, 'update missed'],
});
const now = [undefined, 'four, better', 'five, better', 'missed'];
assert.deepEqual(texts(await jerrys.queryMessages({ limit: 4 })), now);
ok('who was away hears on his return of every change since, in order, once');
jerrysConnection.pause();
await eventually(async () => (await Tom.ping([Jerry.id])).length === 0, 'Jerry is offline');
const again = next(Jerry, Event.RECONNECT);
jerrysConnection.resume();
await again;
await hears({ Tom: [], phone: [], Jerry: [] });
ok('and the next time of none of them again');

await Jerry.close();
const sent = [await chat.send(new TextMessage('one')), await chat.send(new TextMessage('two'))];
await chat.update(sent[1], new TextMessage('two, better'));
const login = async () => {
  const client = await connect({}, another()).createIMClient(Jerry.id);
  const [conversations] = await next(client, Event.UNREAD_MESSAGES_COUNT_UPDATE);
  await client.close();
  return conversations.find(({ id }) => id === chat.id);
};
const before = await login();
assert.equal(before.lastMessage.text, 'two, better');
assert.ok(before.lastMessage.updatedAt > before.lastMessage.timestamp);
await chat.recall(sent[1]);
const after = await login();
assert.equal(after.lastMessage.type, RecalledMessage.TYPE);
assert.deepEqual([after.lastMessage.id, after.unreadMessagesCount], [sent[1].id, before.unreadMessagesCount - 1]);
assert.equal(sent[1].status, MessageStatus.SENT);
ok('who signs in finds what it says now beside the count, and a recalled message is not counted');
finish('What was written can be rewritten.');

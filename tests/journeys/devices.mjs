// Several people on one connection, one person on several, and somebody who was away.

import { Event, another, assert, connect, eventually, finish, isVersion4, next, ok, own, sdk, texts } from './journey.mjs';

const { TextMessage } = sdk;
const realtime = connect();

// Ten on one connection.
const ids = Array.from({ length: 10 }, (_, i) => own(`Player${i}`));
const players = await Promise.all(ids.map((id) => realtime.createIMClient(id)));
const game = await players[0].createConversation({ members: ids, name: 'game' });
const inboxes = players.map((player) => {
  const inbox = [];
  player.on(Event.MESSAGE, (message) => inbox.push(`${message.from}:${message.text}`));
  return inbox;
});
const seats = await Promise.all(players.map((player) => player.getConversation(game.id)));
await Promise.all(seats.map((seat, i) => seat.send(new TextMessage(`move ${i}`))));
const moves = ids.map((id, i) => `${id}:move ${i}`);
await eventually(
  () => inboxes.every((inbox, i) => inbox.length === moves.length - 1 && !inbox.includes(moves[i])),
  'everybody has the move of each of the others',
);
for (const [i, inbox] of inboxes.entries()) {
  assert.deepEqual([...inbox].sort(), moves.filter((move) => move !== moves[i]).sort());
}
ok('ten clients on one connection: each gets what is meant for it, once');

assert.deepEqual((await players[0].ping([...ids, own('Nobody')])).sort(), [...ids].sort());
await players[9].close();
await eventually(async () => (await players[0].ping([ids[9]])).length === 0, 'who signs out is offline');
await eventually(async () => (await players[0].ping([ids[8]])).length === 1, 'the others are not');
ok('who is online');

// One person at two devices, each with the other generation of the SDK.
const otherSdk = another(isVersion4 ? 'leancloud-realtime' : 'leancloud-realtime-4');
const phoneSdk = another();
const [phone, laptop] = await Promise.all([
  connect({}, phoneSdk).createIMClient(ids[0]),
  connect({ RTMServers: process.env.WS_URL }, otherSdk).createIMClient(ids[0]),
]);
const table = await phone.createConversation({ members: [ids[1]], name: 'table' });
const onLaptop = next(laptop, Event.MESSAGE);
const atFriend = next(players[1], Event.MESSAGE);
const echoes = [];
phone.on(Event.MESSAGE, (message) => echoes.push(message.text));
await table.send(new phoneSdk.TextMessage('from my phone'));
const [copy, conversation] = await onLaptop;
assert.deepEqual([copy.text, copy.from, conversation.id], ['from my phone', ids[0], table.id]);
assert.equal(conversation.unreadMessagesCount, 0);
await atFriend;
const onPhone = next(phone, Event.MESSAGE);
await conversation.send(new otherSdk.TextMessage('from my laptop'));
assert.equal((await onPhone)[0].text, 'from my laptop');
assert.deepEqual(echoes, ['from my laptop']);
ok('the other device sees what I send, the sending one does not get it back');

// Away, and back.
await laptop.close();
const friends = await players[1].getConversation(table.id);
await friends.send(new TextMessage('are you there?'));
await friends.send(new TextMessage('call me'));
const later = await connect({}, another()).createIMClient(ids[0]);
const [latest] = await later.getQuery().withLastMessagesRefreshed().equalTo('objectId', table.id).find();
assert.equal(latest.lastMessage.text, 'call me');
assert.deepEqual(texts(await latest.queryMessages()), ['from my phone', 'from my laptop', 'are you there?', 'call me']);
ok('who was away finds it all in history');

// Signed out is signed out: what is said now does not come.
const quiet = [];
laptop.on(Event.MESSAGE, (message) => quiet.push(message.text));
const heard = next(later, Event.MESSAGE);
await friends.send(new TextMessage('last one'));
await heard;
assert.deepEqual(quiet, []);
finish('All devices agree.');

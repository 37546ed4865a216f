// Chat rooms: who is there is a member, nobody is told of anybody, and a lost connection does not lose the seat.
//
// The test may end the server in two ways: `goaway` and `crash`.

import { Event, another, ask, assert, connect, eventually, finish } from './journey.mjs';
import { next, ok, outcome, own, sdk, texts, witness } from './journey.mjs';

// Each with a connection of his own, which may be lost alone.
const sdks = { Olga: sdk, Lena: another(), Max: another(), Nora: another() };
const connections = {};
const clients = {};
for (const [name, of] of Object.entries(sdks)) {
  connections[name] = connect({}, of);
  clients[name] = await connections[name].createIMClient(own(name));
}
const { Olga, Lena, Max, Nora } = clients;
const hears = witness(clients);
const inboxes = {};
for (const [name, client] of Object.entries(clients)) {
  inboxes[name] = [];
  client.on(Event.MESSAGE, (message) => inboxes[name].push(message.text));
}
let errors = 0;
for (const client of Object.values(clients)) client.on(Event.RECONNECT_ERROR, () => (errors += 1));
const people = (room, count) => eventually(async () => (await room.count()) === count, `${count} in the room`);
const say = async (name, room, text, hearers, options) => {
  const arrivals = hearers.map((who) => next(clients[who], Event.MESSAGE, (message) => message.text === text));
  await room.send(new sdks[name].TextMessage(text), options);
  await Promise.all(arrivals);
};

const rooms = {};
rooms.Olga = await hears(() => Olga.createChatRoom({ name: 'Final', topic: '决赛' }), []);
assert.ok(rooms.Olga instanceof sdk.ChatRoom);
assert.deepEqual([rooms.Olga.transient, rooms.Olga.members, rooms.Olga.creator], [true, [], Olga.id]);
assert.equal(await rooms.Olga.count(), 1);
ok('creating: who creates a room is in it, and hears nothing of it');

const { id } = rooms.Olga;
const [found] = await Lena.getChatRoomQuery().equalTo('objectId', id).find();
assert.ok(found instanceof sdks.Lena.ChatRoom);
assert.deepEqual([found.name, found.get('topic'), found.members], ['Final', '决赛', []]);
assert.ok((await Lena.getChatRoomQuery().equalTo('topic', '决赛').find()).some((room) => room.id === id));
assert.deepEqual((await Olga.getQuery().find()).filter((room) => room.id === id), []);
ok('a room is found by a query for rooms, and is none of my conversations');

for (const name of ['Lena', 'Max', 'Nora']) rooms[name] = await clients[name].getConversation(id);
await hears(() => Promise.all([rooms.Lena.join(), rooms.Max.join()]), []);
await people(rooms.Olga, 3);
await hears(() => rooms.Lena.join(), []);
assert.equal(await rooms.Nora.count(), 3);
ok('joining: counted, and nobody is told');

await say('Lena', rooms.Lena, 'first', ['Olga', 'Max']);
await say('Olga', rooms.Olga, 'second', ['Lena', 'Max']);
const { HIGH, NORMAL, LOW } = sdk.MessagePriority;
for (const priority of [HIGH, NORMAL, LOW]) {
  await say('Max', rooms.Max, `of priority ${priority}`, ['Olga', 'Lena'], { priority });
}
await say('Max', rooms.Max, 'typing', ['Olga', 'Lena'], { transient: true });
assert.deepEqual(inboxes, {
  Olga: ['first', 'of priority 1', 'of priority 2', 'of priority 3', 'typing'],
  Lena: ['second', 'of priority 1', 'of priority 2', 'of priority 3', 'typing'],
  Max: ['first', 'second'],
  Nora: [],
});
assert.deepEqual(
  texts(await rooms.Nora.queryMessages()),
  ['first', 'second', 'of priority 1', 'of priority 2', 'of priority 3'],
);
ok('messages: to everybody there but the sender, whatever the priority, and into history');

assert.deepEqual(outcome(await rooms.Olga.add([Nora.id])), { done: [], refused: { [Nora.id]: 4308 } });
ok('nobody can put others into a room: 4308');

await hears(() => rooms.Max.quit(), []);
await people(rooms.Olga, 2);
await say('Olga', rooms.Olga, 'without Max', ['Lena']);
assert.ok(!inboxes.Max.includes('without Max'));
ok('quitting: not counted, nothing comes any more, and nobody is told');

const other = await Max.createChatRoom({ name: 'Other' });
await (await Lena.getConversation(other.id)).join();
await people(rooms.Olga, 1);
await people(other, 2);
await say('Max', other, 'in the other room', ['Lena']);
await say('Olga', rooms.Olga, 'into the void', []);
await rooms.Lena.join();
await people(other, 1);
await rooms.Max.join();
await people(rooms.Olga, 3);
assert.ok(!inboxes.Lena.includes('into the void'));
ok('one room at a time: who joins another has left the former');

// Each of these loses connections, and everybody is back in the room without the app's help.
const lose = async (names, how, text) => {
  const backs = names.map((name) => next(clients[name], Event.RECONNECT));
  await how();
  await Promise.all(backs);
  await people(rooms.Olga, 3);
  await say('Olga', rooms.Olga, text, ['Lena', 'Max']);
  await say('Lena', rooms.Lena, `${text} too`, ['Olga', 'Max']);
};
await lose(
  ['Lena'],
  async () => {
    connections.Lena.pause();
    await people(rooms.Olga, 2);
    await say('Olga', rooms.Olga, 'while Lena is away', ['Max']);
    connections.Lena.resume();
  },
  'after the pause',
);
assert.ok(!inboxes.Lena.includes('while Lena is away'));
ok('a lost connection: out of the room, and back in it on return');
await lose(Object.keys(clients), () => ask('goaway'), 'after goaway');
ok('goaway: everybody who was in the room is back in it');
await lose(Object.keys(clients), () => ask('crash'), 'after the crash');
ok('a crash of the server: everybody who was in the room is back in it');

// Somebody else keeps the connection open, which the SDK would close.
await connections.Lena.createIMClient(own('Lars'));
await Lena.close();
await people(rooms.Olga, 2);
const anew = await connections.Lena.createIMClient(Lena.id);
assert.equal(await rooms.Olga.count(), 2);
await (await anew.getConversation(id)).join();
await people(rooms.Olga, 3);
ok('who signs out has left; who signs in anew has to join');

await hears(() => rooms.Max.quit(), []);
await people(rooms.Olga, 2);
const back = next(Max, Event.RECONNECT);
connections.Max.pause();
connections.Max.resume();
await back;
assert.equal(await rooms.Olga.count(), 2);
ok('who has quit is not put back by a reconnection');

assert.equal(errors, 0);
finish('The room was never empty.');

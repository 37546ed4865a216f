// Who hears of whom: the table "成员变更" of the JavaScript guide, for every action on the members of a conversation.

import { Event, assert, connect, finish, next, ok, own, sdk } from './journey.mjs';

const [A, B, C] = ['Anna', 'Ben', 'Carl'].map(own);
const realtime = connect();
const clients = {};
for (const id of [A, B, C]) clients[id] = await realtime.createIMClient(id);

let heard = [];
for (const [id, client] of Object.entries(clients)) {
  client.on(Event.INVITED, ({ invitedBy }) => heard.push([id, 'INVITED', invitedBy]));
  client.on(Event.KICKED, ({ kickedBy }) => heard.push([id, 'KICKED', kickedBy]));
  client.on(Event.MEMBERS_JOINED, ({ members, invitedBy }) =>
    heard.push([id, 'MEMBERS_JOINED', invitedBy, ...[...members].sort()]),
  );
  client.on(Event.MEMBERS_LEFT, ({ members, kickedBy }) =>
    heard.push([id, 'MEMBERS_LEFT', kickedBy, ...[...members].sort()]),
  );
}

const after = async (action, witnesses, expected) => {
  heard = [];
  await action();
  // A message comes after every notice that was caused before it, and all three are on one connection.
  const arrivals = witnesses.map((id) => next(clients[id], Event.MESSAGE, (message) => message.text === 'now'));
  await chat.send(new sdk.TextMessage('now'));
  await Promise.all(arrivals);
  const sorted = (rows) => rows.map((row) => row.join(' ')).sort();
  assert.deepEqual(sorted(heard), sorted(expected));
};

let chat;
let result;

await after(
  async () => {
    chat = await clients[A].createConversation({ members: [B], name: 'team' });
  },
  [B],
  [
    [A, 'INVITED', A],
    [A, 'MEMBERS_JOINED', A, A, B],
    [B, 'INVITED', A],
    [B, 'MEMBERS_JOINED', A, A, B],
  ],
);
ok('creating: INVITED and MEMBERS_JOINED for both');

await after(async () => (result = await chat.add([C])), [B, C], [
  [A, 'MEMBERS_JOINED', A, C],
  [B, 'MEMBERS_JOINED', A, C],
  [C, 'INVITED', A],
  [C, 'MEMBERS_JOINED', A, C],
]);
assert.deepEqual([result.successfulClientIds, result.failures], [[C], []]);
assert.deepEqual([...chat.members].sort(), [A, B, C].sort());
ok('A adds C: A and B see him join, C is invited');

await after(() => chat.add([C]), [B, C], []);
ok('adding a member again tells nobody anything');

await after(async () => (result = await chat.remove([C])), [B], [
  [A, 'MEMBERS_LEFT', A, C],
  [B, 'MEMBERS_LEFT', A, C],
  [C, 'KICKED', A],
]);
assert.deepEqual([result.successfulClientIds, result.failures], [[C], []]);
ok('A removes C: A and B see him leave, C is kicked');

const carls = await clients[C].getConversation(chat.id, true);
await after(() => carls.join(), [B, C], [
  [A, 'MEMBERS_JOINED', C, C],
  [B, 'MEMBERS_JOINED', C, C],
  [C, 'INVITED', C],
  [C, 'MEMBERS_JOINED', C, C],
]);
ok('C joins: all see it, C himself as INVITED by himself');

await after(() => carls.quit(), [B], [
  [A, 'MEMBERS_LEFT', C, C],
  [B, 'MEMBERS_LEFT', C, C],
  [C, 'KICKED', C],
]);
ok('C quits: A and B see it, C himself as KICKED by himself');

const fresh = await clients[C].getConversation(chat.id, true);
assert.deepEqual([...fresh.members].sort(), [A, B].sort());
assert.deepEqual([...chat.members].sort(), [A, B].sort());
assert.equal(await chat.count(), 2);
ok('whoever was told and whoever asks afresh see the same members');
finish('Members come and go.');

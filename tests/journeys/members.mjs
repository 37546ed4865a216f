// Who hears of whom: the table "成员变更" of the JavaScript guide, for every action on the members of a conversation.

import { Event, another, assert, begun, connect, failure, finish, next, ok, outcome, own, witness } from './journey.mjs';

const [anna, ben, carl, dora] = ['Anna', 'Ben', 'Carl', 'Dora'].map(own);
const realtime = connect();
const clients = {};
for (const id of [anna, ben, carl]) clients[id.split('-')[0]] = await realtime.createIMClient(id);
// Anna has a second device, and hears of everything there as well.
clients["Anna's phone"] = await connect({}, another()).createIMClient(anna);
const hears = witness(clients);
const { Anna: A, Carl: C } = clients;
const sorted = (ids) => [...ids].sort();

const chat = await hears(() => A.createConversation({ members: [ben], name: 'team', unique: true }), [
  ...begun(['Anna', "Anna's phone", 'Ben'], 'Anna', 'Anna Ben'),
]);
ok('creating: INVITED and MEMBERS_JOINED for both, on all devices');

const again = await hears(() => A.createConversation({ members: [ben], name: 'again', unique: true }), []);
assert.equal(again.id, chat.id);
ok('creating what exists: nobody hears anything');

const emitted = next(chat, Event.MEMBERS_JOINED);
let result = await hears(
  () => chat.add([carl]),
  [
    'Anna MEMBERS_JOINED by Anna: Carl',
    "Anna's phone MEMBERS_JOINED by Anna: Carl",
    'Ben MEMBERS_JOINED by Anna: Carl',
    'Carl INVITED by Anna',
    'Carl MEMBERS_JOINED by Anna: Carl',
  ],
);
assert.deepEqual(outcome(result), { done: [carl], refused: {} });
assert.deepEqual(sorted(chat.members), sorted([anna, ben, carl]));
assert.deepEqual((await emitted)[0], { invitedBy: anna, members: [carl] });
ok('A adds C: A and B see him join, C is invited');

result = await hears(
  () => chat.add([carl, dora]),
  ['Anna', "Anna's phone", 'Ben', 'Carl'].map((who) => `${who} MEMBERS_JOINED by Anna: Dora`),
);
assert.deepEqual(outcome(result), { done: sorted([carl, dora]), refused: {} });
ok('adding a member and another: all see only the other join');

await hears(() => chat.add([carl]), []);
ok('adding a member again tells nobody anything');

result = await hears(
  () => chat.remove([carl, dora]),
  [
    'Anna MEMBERS_LEFT by Anna: Carl Dora',
    "Anna's phone MEMBERS_LEFT by Anna: Carl Dora",
    'Ben MEMBERS_LEFT by Anna: Carl Dora',
    'Carl KICKED by Anna',
  ],
);
assert.deepEqual(outcome(result), { done: sorted([carl, dora]), refused: {} });
ok('A removes C and D: A and B see them leave, C is kicked');

await hears(() => chat.remove([carl]), []);
ok('removing somebody who is no member tells nobody anything');

const carls = await C.getConversation(chat.id, true);
await hears(() => carls.join(), [
  'Anna MEMBERS_JOINED by Carl: Carl',
  "Anna's phone MEMBERS_JOINED by Carl: Carl",
  'Ben MEMBERS_JOINED by Carl: Carl',
  'Carl INVITED by Carl',
  'Carl MEMBERS_JOINED by Carl: Carl',
]);
ok('C joins: all see it, C himself as INVITED by himself');

await hears(() => carls.quit(), [
  'Anna MEMBERS_LEFT by Carl: Carl',
  "Anna's phone MEMBERS_LEFT by Carl: Carl",
  'Ben MEMBERS_LEFT by Carl: Carl',
  'Carl KICKED by Carl',
]);
ok('C quits: A and B see it, C himself as KICKED by himself');

await hears(async () => assert.equal((await failure(carls.add([dora]))).code, 4317), []);
await hears(async () => assert.equal((await failure(carls.remove([ben]))).code, 4317), []);
ok('a stranger adds or removes: 4317, and nobody hears anything');

const fresh = await C.getConversation(chat.id, true);
assert.deepEqual(sorted(fresh.members), sorted([anna, ben]));
assert.deepEqual(sorted(chat.members), sorted([anna, ben]));
assert.equal(await chat.count(), 2);
ok('whoever was told and whoever asks afresh see the same members');
finish('Members come and go.');

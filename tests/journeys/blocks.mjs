// Block lists: who is on it is out, and stays out. Needs an application with roles and block lists.

import { Event, assert, begun, connect, eventually, failure, finish } from './journey.mjs';
import { next, ok, outcome, own, sdk, witness } from './journey.mjs';

const { TextMessage } = sdk;
const realtime = connect();
const clients = {};
for (const name of ['Anna', 'Ben', 'Carl']) clients[name] = await realtime.createIMClient(own(name));
const { Anna, Ben, Carl } = clients;
const hears = witness(clients);

const chat = await hears(() => Anna.createConversation({ members: [Ben.id, Carl.id], name: 'club', unique: false }), [
  ...begun(['Anna', 'Ben', 'Carl'], 'Anna', 'Anna Ben Carl'),
]);
const bens = await Ben.getConversation(chat.id);
const carls = await Carl.getConversation(chat.id);

assert.equal((await failure(carls.blockMembers([Ben.id]))).code, 4320);
ok('a mere member blocks nobody: 4320');

let result = await hears(
  () => chat.blockMembers([Ben.id]),
  [
    'Anna MEMBERS_BLOCKED by Anna: Ben',
    'Anna MEMBERS_LEFT by Anna: Ben',
    'Ben BLOCKED by Anna',
    'Ben KICKED by Anna',
    'Carl MEMBERS_BLOCKED by Anna: Ben',
    'Carl MEMBERS_LEFT by Anna: Ben',
  ],
);
assert.deepEqual(outcome(result), { done: [Ben.id], refused: {} });
for (const seen of [chat, bens, carls]) assert.deepEqual([...seen.members].sort(), [Anna.id, Carl.id].sort());
ok('blocking: BLOCKED and KICKED for him, MEMBERS_BLOCKED and MEMBERS_LEFT for the others');

assert.equal((await failure(bens.send(new TextMessage('why?')))).code, 4401);
assert.equal((await failure(bens.queryMessages())).code, 4312);
assert.equal((await failure(bens.join())).code, 4548);
assert.ok([4317, 4320].includes((await failure(bens.unblockMembers([Ben.id]))).code));
result = await hears(() => chat.add([Ben.id]), []);
assert.deepEqual(outcome(result), { done: [], refused: { [Ben.id]: 4548 } });
assert.deepEqual(await chat.queryBlockedMembers(), { results: [Ben.id], next: null });
assert.equal((await failure(carls.queryBlockedMembers())).code, 4320);
ok('the blocked one cannot send, read, join or be invited (4548), and is listed for those who may block');

await hears(
  () => chat.unblockMembers([Ben.id]),
  ['Anna MEMBERS_UNBLOCKED by Anna: Ben', 'Ben UNBLOCKED by Anna', 'Carl MEMBERS_UNBLOCKED by Anna: Ben'],
);
assert.deepEqual(await chat.queryBlockedMembers(), { results: [], next: null });
assert.ok(!(await Ben.getConversation(chat.id, true)).members.includes(Ben.id));
await bens.join();
await bens.send(new TextMessage('I am back'));
ok('unblocking: UNBLOCKED for him, MEMBERS_UNBLOCKED for the others; he is out until he joins');

const many = Array.from({ length: 12 }, (_, i) => own(`Stranger${i}`));
await hears(() => chat.blockMembers(many), ['Anna', 'Ben', 'Carl'].map(
  (who) => `${who} MEMBERS_BLOCKED by Anna: ${many.map((id) => id.split('-')[0]).sort().join(' ')}`,
));
const first = await chat.queryBlockedMembers();
const rest = await chat.queryBlockedMembers({ next: first.next });
assert.match(first.next, /^\d+$/);
assert.deepEqual([first.results.length, rest.results.length, rest.next], [10, 2, null]);
assert.deepEqual([...first.results, ...rest.results].sort(), [...many].sort());
assert.deepEqual((await chat.queryBlockedMembers({ limit: 100 })).results.sort(), [...many].sort());
ok('strangers can be blocked beforehand; the list comes in pages');

const room = await Anna.createChatRoom({ name: 'open' });
const bensRoom = await Ben.getConversation(room.id);
await bensRoom.join();
const before = next(Ben, Event.MESSAGE);
await room.send(new TextMessage('welcome'));
await before;
await hears(() => room.blockMembers([Ben.id]), ['Ben BLOCKED by Anna']);
await eventually(async () => (await room.count()) === 1, 'Ben is out of the room');
assert.equal((await failure(bensRoom.join())).code, 4548);
assert.equal((await failure(bensRoom.send(new TextMessage('knock')))).code, 4548);
await room.unblockMembers([Ben.id]);
await bensRoom.join();
await eventually(async () => (await room.count()) === 2, 'Ben is in the room');
ok('in a chat room: the blocked one is put out and told, nobody else is');
finish('The door has been shut and opened.');

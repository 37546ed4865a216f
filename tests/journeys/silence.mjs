// Silence: members who may read and not write. Needs an application with roles.

import { Event, another, assert, begun, connect, failure, finish } from './journey.mjs';
import { next, ok, outcome, own, sdk, witness } from './journey.mjs';

const { TextMessage } = sdk;
const realtime = connect();
const clients = {};
for (const name of ['Anna', 'Ben', 'Carl', 'Eve']) clients[name] = await realtime.createIMClient(own(name));
const { Anna, Ben, Carl, Eve } = clients;
clients["Ben's phone"] = await connect({}, another()).createIMClient(Ben.id);
const hears = witness(clients);

const chat = await hears(() => Anna.createConversation({ members: [Ben.id, Carl.id], name: 'quiet', unique: false }), [
  ...begun(['Anna', 'Ben', "Ben's phone", 'Carl'], 'Anna', 'Anna Ben Carl'),
]);
const bens = await Ben.getConversation(chat.id);
const carls = await Carl.getConversation(chat.id);

let result = await hears(
  () => chat.muteMembers([Ben.id]),
  [
    'Anna MEMBERS_MUTED by Anna: Ben',
    'Ben MUTED by Anna',
    'Ben MEMBERS_MUTED by Anna: Ben',
    "Ben's phone MUTED by Anna",
    "Ben's phone MEMBERS_MUTED by Anna: Ben",
    'Carl MEMBERS_MUTED by Anna: Ben',
  ],
);
assert.deepEqual(outcome(result), { done: [Ben.id], refused: {} });
ok('silencing: MUTED for him, MEMBERS_MUTED for all');

const stifled = new TextMessage('mmh');
assert.equal((await failure(bens.send(stifled))).code, 4563);
assert.equal(stifled.status, sdk.MessageStatus.FAILED);
const toBen = next(Ben, Event.MESSAGE);
const toPhone = next(clients["Ben's phone"], Event.MESSAGE);
await chat.send(new TextMessage('listen'));
assert.deepEqual([(await toBen)[0].text, (await toPhone)[0].text], ['listen', 'listen']);
assert.deepEqual((await chat.queryMessages()).map((message) => message.text), ['listen']);
assert.ok(bens.members.includes(Ben.id));
ok('the silenced one sends in vain, 4563, and receives all the same');

await carls.send(new TextMessage('I may'));
assert.deepEqual(await carls.queryMutedMembers(), { results: [Ben.id], next: null });
ok('the others may send, and see who may not');

assert.equal((await failure(carls.muteMembers([Anna.id]))).code, 4320);
assert.equal((await failure(carls.unmuteMembers([Ben.id]))).code, 4320);
assert.equal((await failure(bens.unmuteMembers([Ben.id]))).code, 4320);
assert.equal((await failure((await Eve.getConversation(chat.id)).muteMembers([Ben.id]))).code, 4317);
assert.deepEqual((await carls.queryMutedMembers()).results, [Ben.id]);
ok('a mere member silences nobody, nor lifts it: 4320; a stranger: 4317');

await hears(
  () => chat.unmuteMembers([Ben.id]),
  [
    'Anna MEMBERS_UNMUTED by Anna: Ben',
    'Ben UNMUTED by Anna',
    'Ben MEMBERS_UNMUTED by Anna: Ben',
    "Ben's phone UNMUTED by Anna",
    "Ben's phone MEMBERS_UNMUTED by Anna: Ben",
    'Carl MEMBERS_UNMUTED by Anna: Ben',
  ],
);
await bens.send(new TextMessage('at last'));
assert.deepEqual(await chat.queryMutedMembers(), { results: [], next: null });
ok('lifting it: UNMUTED for him, MEMBERS_UNMUTED for all, and he sends again');

const many = Array.from({ length: 25 }, (_, i) => own(`Member${i}`));
const crowd = await Anna.createConversation({ members: many, name: 'crowd', unique: false });
result = await crowd.muteMembers(many);
assert.deepEqual(outcome(result), { done: [...many].sort(), refused: {} });
const pages = [];
for (let page = { next: undefined }; page.next !== null; ) {
  page = await crowd.queryMutedMembers({ next: page.next });
  pages.push(page.results);
}
assert.deepEqual(pages.map((page) => page.length), [10, 10, 5]);
assert.deepEqual(pages.flat().sort(), [...many].sort());
const first = await crowd.queryMutedMembers({ limit: 20 });
const rest = await crowd.queryMutedMembers({ limit: 20, next: first.next });
assert.match(first.next, /^\d+$/);
assert.deepEqual([first.results.length, rest.results.length, rest.next], [20, 5, null]);
assert.deepEqual([...first.results, ...rest.results].sort(), [...many].sort());
ok('the list comes in pages, of 10 or of as many as one asks for');

const room = await Anna.createChatRoom({ name: 'loud' });
const bensRoom = await Ben.getConversation(room.id);
await bensRoom.join();
await hears(() => room.muteMembers([Ben.id]), ['Ben MUTED by Anna', "Ben's phone MUTED by Anna"]);
assert.equal((await failure(bensRoom.send(new TextMessage('psst')))).code, 4563);
const inRoom = next(Ben, Event.MESSAGE);
await room.send(new TextMessage('only I'));
assert.equal((await inRoom)[0].text, 'only I');
await hears(() => room.unmuteMembers([Ben.id]), ['Ben UNMUTED by Anna', "Ben's phone UNMUTED by Anna"]);
await bensRoom.send(new TextMessage('and I'));
ok('in a chat room: the silenced one alone is told');
finish('Silence is kept.');

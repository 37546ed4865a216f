// Attributes of conversations, and turning off the push of one for oneself.

import { Event, another, assert, begun, connect, failure, finish } from './journey.mjs';
import { next, ok, own, sdk, witness } from './journey.mjs';

const realtime = connect();
const clients = {};
for (const name of ['Anna', 'Ben', 'Eve']) clients[name] = await realtime.createIMClient(own(name));
const { Anna, Ben, Eve } = clients;
const phone = await connect({}, another()).createIMClient(Anna.id);
clients["Anna's phone"] = phone;
const hears = witness(clients);
const others = (attributes) =>
  ["Anna's phone", 'Ben'].map((who) => `${who} CONVERSATION_INFO_UPDATED by Anna: ${JSON.stringify(attributes)}`);
// As a device sees it that has never seen it before.
const afresh = async () => (await connect({}, another()).createIMClient(own('Reader'))).getConversation(chat.id);

const opened = new Date('2020-01-02T03:04:05.678Z');
const properties = { level: 1, opened, colour: { text: '#000', background: '#DDD' }, tags: ['a', 'b'] };
const chat = await hears(
  () => Anna.createConversation({ members: [Ben.id], name: '设计', unique: false, ...properties }),
  begun(['Anna', "Anna's phone", 'Ben'], 'Anna', 'Anna Ben'),
);
const bens = await Ben.getConversation(chat.id);
const onPhone = await phone.getConversation(chat.id);
for (const seen of [chat, bens, onPhone, await afresh()]) {
  assert.deepEqual([seen.name, seen.get('level'), seen.get('tags')], ['设计', 1, ['a', 'b']]);
  assert.deepEqual(seen.get('colour'), { text: '#000', background: '#DDD' });
  assert.equal(new Date(seen.get('opened')).getTime(), opened.getTime());
}
ok('on creation: numbers, dates, lists, objects, and a name in Chinese');

const before = chat.updatedAt;
const emitted = next(bens, Event.INFO_UPDATED);
chat.name = '设计 2';
chat.set('colour.text', '#333').set('level', 2);
await hears(() => chat.save(), others({ name: '设计 2', 'colour.text': '#333', level: 2 }));
assert.deepEqual((await emitted)[0], { attributes: { name: '设计 2', 'colour.text': '#333', level: 2 }, updatedBy: Anna.id });
assert.ok(chat.updatedAt > before);
for (const seen of [chat, bens, onPhone, await afresh()]) {
  assert.deepEqual([seen.name, seen.get('level')], ['设计 2', 2]);
  assert.deepEqual(seen.get('colour'), { text: '#333', background: '#DDD' });
}
ok('set and save: the other device and the other member are told, and all see the same, below a key too');

await hears(() => chat.save(), []);
ok('saving nothing does nothing');

const later = new Date('2021-01-02T03:04:05.678Z');
chat.set('deep.er.still', [1, { two: '三' }]).set('opened', later).set('colour', { text: 'red' });
await hears(
  () => chat.save(),
  others({ 'deep.er.still': [1, { two: '三' }], opened: later, colour: { text: 'red' } }),
);
for (const seen of [chat, bens, onPhone, await afresh()]) {
  assert.deepEqual(seen.get('deep'), { er: { still: [1, { two: '三' }] } });
  assert.deepEqual(seen.get('colour'), { text: 'red' });
  assert.equal(new Date(seen.get('opened')).getTime(), later.getTime());
}
ok('below keys that were not there; a whole object replaces the former');

const found = async (key, value) => (await Anna.getQuery().containsMembers([Ben.id]).equalTo(key, value).find()).length;
assert.deepEqual(
  [await found('level', 1), await found('level', 2), await found('deep.er.still', 1), await found('colour.text', 'red')],
  [0, 1, 1, 1],
);
ok('queries find the new values, and not the old ones');

// The SDK has no operators of its own, but apps send them; who hears one applies nothing but what a fetch brings.
const operate = async (key, operator, expected) => {
  bens.set(key, operator);
  await bens.save();
  assert.deepEqual((await afresh()).get(key), expected);
  await bens.fetch();
  assert.deepEqual(bens.get(key), expected);
};
await operate('level', { __op: 'Increment', amount: 3 }, 5);
await operate('tags', { __op: 'AddUnique', objects: ['b', 'c'] }, ['a', 'b', 'c']);
await operate('tags', { __op: 'Remove', objects: ['a'] }, ['b', 'c']);
await operate('tags', { __op: 'Add', objects: ['c'] }, ['b', 'c', 'c']);
await operate('level', { __op: 'BitAnd', value: 4 }, 4);
await operate('level', { __op: 'Delete' }, undefined);
ok('operators: Increment, AddUnique, Remove, Add, BitAnd, Delete');

chat.set('c', 'somebody else').set('objectId', 'another').set('m', []);
await hears(() => chat.save(), []);
const untouched = await afresh();
assert.deepEqual([untouched.creator, untouched.id], [Anna.id, chat.id]);
assert.deepEqual([...untouched.members].sort(), [Anna.id, Ben.id].sort());
ok("the server's own keys are left alone");

const hers = await Eve.getConversation(chat.id);
hers.name = 'mine now';
await hears(async () => assert.equal((await failure(hers.save())).code, 4309), []);
assert.equal((await afresh()).name, '设计 2');
ok('a stranger changes nothing: 4309, and nobody is told');

const room = await Anna.createChatRoom({ name: 'hall', topic: 'old' });
const bensRoom = await Ben.getConversation(room.id);
await bensRoom.join();
room.set('topic', 'new');
await hears(() => room.save(), ['Ben CONVERSATION_INFO_UPDATED by Anna: {"topic":"new"}']);
assert.equal(bensRoom.get('topic'), 'new');
ok('in a chat room: who is there is told');

const saved = bens.updatedAt;
await hears(() => bens.mute(), []);
assert.deepEqual([bens.muted, bens.mutedMembers], [true, [Ben.id]]);
const muted = await afresh();
assert.deepEqual(muted.mutedMembers, [Ben.id]);
assert.ok(muted.updatedAt > saved);
const arrival = next(Ben, Event.MESSAGE);
await chat.send(new sdk.TextMessage('hush'));
assert.equal((await arrival)[0].text, 'hush');
await hears(() => bens.unmute(), []);
assert.deepEqual((await afresh()).mutedMembers, []);
assert.equal((await failure(hers.mute())).code, 4317);
ok('mute and unmute: seen by who asks, told to nobody; messages come all the same; not for strangers');
finish('All is said of the conversation.');

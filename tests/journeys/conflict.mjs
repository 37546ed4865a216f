// One device at a time: a tag, and what becomes of the older device. Needs a proxy (`through`).

import { Event, another, assert, connect, cut, eventually, failure, finish } from './journey.mjs';
import { next, ok, own, sdk, settled, through } from './journey.mjs';

const { TextMessage } = sdk;
const id = own('Tom');
const friend = await connect().createIMClient(own('Jerry'));

// The older device has somebody else on its connection, who keeps it alive.
const oldSdk = another();
const older = connect(through('older'), oldSdk);
const old = await older.createIMClient(id, { tag: 'Mobile' });
const guest = await older.createIMClient(own('Guest'));
const chat = await old.createConversation({ members: [friend.id] });
const heard = { old: [], young: [] };
old.on(Event.MESSAGE, (message) => heard.old.push(message.text));

const conflict = next(old, Event.CONFLICT);
const young = await connect(through('younger'), another()).createIMClient(id, { tag: 'Mobile' });
const [{ reason }] = await conflict;
assert.equal(reason, 'SESSION_CONFLICT');
young.on(Event.MESSAGE, (message) => heard.young.push(message.text));
for (const event of [Event.CONFLICT, Event.CLOSE, Event.RECONNECT_ERROR]) {
  young.on(event, (payload) => heard.young.push(`${event} ${JSON.stringify(payload)}`));
}
ok('the newer device is in, the older one gets CONFLICT');

const friends = await friend.getConversation(chat.id);
await friends.send(new TextMessage('to the newer one'));
await eventually(() => heard.young.length, 'the newer one hears it');
assert.deepEqual(await guest.ping([id, guest.id]), [id, guest.id]);
assert.deepEqual(heard, { old: [], young: ['to the newer one'] });
assert.equal((await failure(chat.send(new oldSdk.TextMessage('am I still in?')))).code, 4105);
ok('the older one hears nothing more and may do nothing, its neighbour on the connection goes on');

// The SDK opens everybody again when that connection is back: the one that was sent away too.
const refusals = [];
old.on(Event.RECONNECT_ERROR, ({ code }) => refusals.push(code));
let back = next(guest, Event.RECONNECT);
assert.equal(await cut('older'), 1);
await back;
await eventually(() => refusals.length, 'it is refused');
await settled(guest, young);
await friends.send(new TextMessage('still to the newer one'));
await eventually(() => heard.young.length === 2, 'the newer one hears it');
assert.deepEqual(heard, { old: [], young: ['to the newer one', 'still to the newer one'] });
ok('it is refused when it comes back by itself, 4111, tries no more, and the newer one does not notice');

back = next(young, Event.RECONNECT);
assert.equal(await cut('younger'), 1);
await back;
await friends.send(new TextMessage('welcome back'));
await eventually(() => heard.young.length === 3, 'the newer one hears it');
ok('the newer one comes back after a lost connection');

const desktop = await connect({}, another()).createIMClient(id, { tag: 'Web' });
const untagged = await connect({}, another()).createIMClient(id);
const arrivals = [desktop, untagged].map((client) => next(client, Event.MESSAGE));
await friends.send(new TextMessage('to all of you'));
await Promise.all(arrivals);
await eventually(() => heard.young.length === 4, 'the newer one hears it');
ok('other tags, and none, are beside it');

const taken = next(young, Event.CONFLICT);
await connect({}, another()).createIMClient(id, { tag: 'Mobile' });
await taken;
assert.deepEqual([heard.old, refusals], [[], [4111]]);
ok('the next login with the tag sends that one away');
finish('One device at a time.');

// The mode of old apps: what a client has not acknowledged is pushed again when it is back, what it has is not. Needs
// version 4 and a proxy (`through`).

import { Event, another, assert, connect, cut, eventually, finish, mute } from './journey.mjs';
import { next, ok, own, sdk, settled, through } from './journey.mjs';

const { TextMessage } = sdk;
const Tom = await connect().createIMClient(own('Tom'));
const Mary = await connect({ pushOfflineMessages: true, ...through('mary') }, another()).createIMClient(own('Mary'));
const chat = await Tom.createConversation({ members: [Mary.id], name: 'chat' });
const heard = [];
Mary.on(Event.MESSAGE, ({ id, text }) => heard.push({ id, text }));
const hears = (count) => eventually(() => heard.length >= count, `she hears ${count} messages`);
const say = (text) => chat.send(new TextMessage(text), { receipt: true });
// Her acknowledgements go out once a second.
const acknowledged = () =>
  eventually(async () => (await chat.queryMessages({ limit: 1 }))[0].deliveredAt, 'her device has acknowledged it');
const breakAndReturn = async () => {
  const back = next(Mary, Event.RECONNECT);
  assert.equal(await cut('mary'), 1);
  await back;
};

await say('one');
await acknowledged();
assert.equal(await mute('mary'), 1);
await say('two');
await say('three');
await hears(3);
await breakAndReturn();
await hears(5);
await settled(Mary);
assert.deepEqual(heard.map(({ text }) => text), ['one', 'two', 'three', 'two', 'three']);
assert.equal(new Set(heard.map(({ id }) => id)).size, 3);
ok('what she heard, but could not acknowledge, comes again, the same messages in order');

await acknowledged();
await breakAndReturn();
await settled(Mary);
assert.equal(heard.length, 5);
await say('four');
await hears(6);
assert.equal(heard.at(-1).text, 'four');
ok('and no more once she has');
finish('Nothing was lost.');

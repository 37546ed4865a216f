// Temporary conversations: a talk that ends by itself, one for each set of members while it lives.

import { Event, another, assert, begun, connect, eventually, failure, finish } from './journey.mjs';
import { next, ok, own, sdk, texts, witness } from './journey.mjs';

const { TextMessage } = sdk;
const [me, she, he] = ['Tim', 'Tess', 'Tod'].map(own);
const realtime = connect();
const clients = { Tim: await realtime.createIMClient(me), Tess: await realtime.createIMClient(she) };
const { Tim, Tess } = clients;
const hears = witness(clients);
const HOUR = 3600;
const around = (date, seconds) => assert.ok(Math.abs(date.getTime() - Date.now() - seconds * 1000) < 60_000, `${date}`);

const talk = await hears(() => Tim.createTemporaryConversation({ members: [she], ttl: HOUR }), [
  ...begun(['Tim', 'Tess'], 'Tim', 'Tess Tim'),
]);
assert.ok(talk instanceof sdk.TemporaryConversation);
assert.match(talk.id, /^_tmp:/);
assert.equal(talk.expired, false);
around(talk.expiredAt, HOUR);
ok('creating: an id with _tmp:, its life, and both hear of it');

const same = await hears(() => Tess.createTemporaryConversation({ members: [me], ttl: 2 * HOUR }), []);
assert.equal(same.id, talk.id);
const third = await Tess.createTemporaryConversation({ members: [me, he], ttl: HOUR });
assert.notEqual(third.id, talk.id);
ok('the same members have the same one, and nobody hears of it twice; other members have another');

const arrival = next(Tess, Event.MESSAGE);
await talk.send(new TextMessage('quickly'));
const [message, hers] = await arrival;
assert.deepEqual([message.text, message.from, hers.id], ['quickly', me, talk.id]);
assert.ok(hers instanceof sdk.TemporaryConversation);
const answer = next(Tim, Event.MESSAGE);
await hers.send(new TextMessage('what?'));
assert.equal((await answer)[0].text, 'what?');
assert.deepEqual(texts(await talk.queryMessages()), ['quickly', 'what?']);
assert.equal(await talk.count(), 2);
ok('messages go both ways and are kept');

const phone = await connect({}, another()).createIMClient(she);
const normal = await Tess.createConversation({ members: [me], name: 'kept' });
const [mine, kept, none] = await phone.getConversations([talk.id, normal.id, '_tmp:nothing']);
assert.deepEqual([mine.id, kept.id, none], [talk.id, normal.id, null]);
assert.deepEqual([...mine.members].sort(), [me, she].sort());
around(mine.expiredAt, HOUR);
assert.deepEqual(texts(await mine.queryMessages()), ['quickly', 'what?']);
ok('by its id, on a device that has not seen it');

const queried = await phone.getQuery().containsMembers([me]).find();
assert.deepEqual(queried.map((conversation) => conversation.id), [normal.id]);
assert.deepEqual(await phone.getQuery().equalTo('objectId', talk.id).find(), []);
ok('no query finds it');

around((await Tim.createTemporaryConversation({ members: [own('Tara')] })).expiredAt, 24 * HOUR);
around((await Tim.createTemporaryConversation({ members: [own('Tula')], ttl: 0 })).expiredAt, 24 * HOUR);
const longest = await Tim.createTemporaryConversation({ members: [own('Toni')], ttl: 365 * 24 * HOUR });
around(longest.expiredAt, 30 * 24 * HOUR);
ok('one day if one does not say, 30 days at most');
const crowd = Array.from({ length: 10 }, (_, i) => own(`Guest${i}`));
assert.equal((await failure(Tim.createTemporaryConversation({ members: crowd }))).code, 4304);
ok('eleven members: 4304');

const brief = await Tim.createTemporaryConversation({ members: [own('Tara'), she], ttl: 1 });
// What the SDK believes of a conversation that another part of the app has kept; so it is the server that refuses.
const believed = await Tess.parseConversation({ ...brief.toFullJSON(), expiredAt: Date.now() + HOUR * 1000 });
const refusal = await eventually(
  () => believed.send(new TextMessage('still there?')).then(() => false, (error) => error),
  'the conversation is over',
);
assert.deepEqual([refusal.code, believed.expired], [4323, false]);
assert.equal((await failure(believed.queryMessages())).code, 4323);
assert.equal((await failure(believed.count())).code, 4323);
assert.equal(await phone.getConversation(brief.id, true), null);
await eventually(() => brief.expired, 'who has created it knows by himself');
assert.equal((await failure(brief.send(new TextMessage('me too')))).code, 4323);
ok('when its time is over: 4323 for whatever one does, and it is not there any more');
const after = await Tim.createTemporaryConversation({ members: [own('Tara'), she], ttl: HOUR });
assert.notEqual(after.id, brief.id);
await after.send(new TextMessage('once more'));
ok('then the same members get another one');
finish('It was good while it lasted.');

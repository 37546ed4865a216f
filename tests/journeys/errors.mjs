// A refusal reaches the app as a rejected promise with the code of the protocol, and nothing else breaks.

import { assert, connect, failure, finish, ok, own, sdk } from './journey.mjs';

const { TextMessage } = sdk;
const realtime = connect();

assert.equal((await failure(realtime.createIMClient('x'.repeat(65)))).code, 4103);
ok('a client id of 65 characters: 4103');
const longest = own('').padStart(64, '界');
const tom = await realtime.createIMClient(longest);
assert.equal(tom.id, longest);
ok('64 characters, Chinese ones too, are fine');

const mine = await tom.createConversation({ members: [], name: 'mine', unique: false });
const eve = await realtime.createIMClient(own('Eve'));
const hers = await eve.getConversation(mine.id);
assert.equal(hers.name, 'mine');

assert.equal((await failure(hers.send(new TextMessage('let me in')))).code, 4401);
ok('sending as a stranger: 4401');
assert.equal((await failure(hers.queryMessages())).code, 4312);
ok('reading as a stranger: 4312');
const added = await failure(hers.add([own('Mallory')]));
assert.equal(added.code, 4317);
ok('adding as a stranger: 4317');

// The SDK lets apps build a conversation object for an id they know.
const ghost = await eve.parseConversation({ id: '0123456789abcdef01234567', members: [] });
assert.equal((await failure(ghost.send(new TextMessage('anybody?')))).code, 4303);
assert.equal((await failure(ghost.queryMessages())).code, 4303);
assert.equal((await failure(ghost.join())).code, 4303);
assert.equal((await failure(ghost.count())).code, 4303);
ok('a conversation that does not exist: 4303, whatever is asked of it');

const members = Array.from({ length: 501 }, (_, i) => `member-${i}`);
assert.equal((await failure(tom.createConversation({ members, unique: false }))).code, 4304);
ok('more than 500 members: 4304');

const bomb = tom.getQuery().matches('name', /^(a+)+$/);
await tom.createConversation({ members: [], name: `${'a'.repeat(40)}!`, unique: false });
const exploded = await bomb.find().then(
  (found) => found.length,
  (error) => error.code,
);
assert.ok(exploded === 0 || exploded === 4310, `${exploded}`);
ok(`a regular expression that explodes: ${exploded === 0 ? 'answered' : 'refused with 4310'}`);

await mine.send(new TextMessage('all is well'));
assert.equal((await mine.queryMessages()).at(-1).text, 'all is well');
ok('and the connection lives');

const unknown = connect({ appId: 'nobody-knows-this-app' });
const refused = await failure(unknown.createIMClient('Tom'));
assert.equal(refused.code, process.env.RTM_SERVER ? 4100 : 404);
ok(`an unknown app: the router says 404, a connection is closed with 4100: got ${refused.code}`);
finish('Refusals are told.');

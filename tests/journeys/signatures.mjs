// Signatures: what the app's own server allows is done, and nothing else. Needs an application that wants them.
//
// IMCORE_MASTER_KEY: the key to sign with, which in earnest only the app's own server knows.

import { createHmac, randomBytes } from 'node:crypto';

import { Event, another, assert, begun, connect, failure, finish } from './journey.mjs';
import { next, ok, outcome, own, sdk, witness } from './journey.mjs';

const { IMCORE_APP_ID: app, IMCORE_MASTER_KEY: key } = process.env;
const HOUR = 3600_000;
const signed = (fields, { with: secret = key, at = Date.now(), upper = false } = {}) => {
  const nonce = randomBytes(8).toString('hex');
  const signature = createHmac('sha1', secret).update(fields(at, nonce).join(':')).digest('hex');
  return { timestamp: at, nonce, signature: upper ? signature.toUpperCase() : signature };
};
// The factories of the guide; `how` says what is wrong with them.
const login = (how) => async (client) => signed((at, nonce) => [app, client, '', at, nonce], how);
const conversation = (how) => async (id, client, members, action) =>
  signed(
    (at, nonce) =>
      action === 'create'
        ? [app, client, members.join(':'), at, nonce]
        : [app, client, id, members.join(':'), at, nonce, action],
    how,
  );
// Version 4 calls it with the first two exchanged, and so signs them exchanged.
const blacklist = (how) => async (id, client, members, action) =>
  signed((at, nonce) => [app, client, id, members.join(':'), at, nonce, action], how);
const wrongKey = { with: 'a-key-that-somebody-has-guessed' };

const realtime = connect();
const anna = own('Anna');
const rightly = {
  signatureFactory: login(),
  conversationSignatureFactory: conversation(),
  blacklistSignatureFactory: blacklist(),
};
const Anna = await realtime.createIMClient(anna, rightly);
ok('a right signature logs in');

const wrongly = async (options) => (await failure(realtime.createIMClient(own('Mallory'), options))).code;
assert.equal(await wrongly({}), 4102);
assert.equal(await wrongly({ signatureFactory: login(wrongKey) }), 4102);
assert.equal(await wrongly({ signatureFactory: () => login()(anna) }), 4102);
assert.equal(await wrongly({ signatureFactory: login({ at: Date.now() - 7 * HOUR }) }), 4102);
assert.equal(await wrongly({ signatureFactory: login({ at: Date.now() + 7 * HOUR }) }), 4102);
ok('none, with the wrong key, of somebody else, from long ago or from the future: 4102');

const inSeconds = { signatureFactory: login({ at: Math.floor(Date.now() / 1000), upper: true }) };
const Ben = await realtime.createIMClient(own('Ben'), { ...rightly, ...inSeconds });
const Carl = await realtime.createIMClient(own('Carl'), { ...rightly, signatureFactory: login({ at: Date.now() - 5 * HOUR }) });
ok('in seconds, in capitals, or five hours old: logs in');

// The same people as clients that sign wrongly, or nothing but their log-in.
const [Unsigned, Forging] = [
  await connect({}, another()).createIMClient(anna, { signatureFactory: login() }),
  await connect({}, another()).createIMClient(anna, {
    signatureFactory: login(),
    conversationSignatureFactory: conversation(wrongKey),
    blacklistSignatureFactory: blacklist(wrongKey),
  }),
];
const clients = { Anna, Ben, Carl };
const hears = witness(clients);

await hears(async () => {
  for (const client of [Unsigned, Forging]) {
    assert.equal((await failure(client.createConversation({ members: [Ben.id] }))).code, 4302);
    assert.equal((await failure(client.createChatRoom({ name: 'hall' }))).code, 4302);
    assert.equal((await failure(client.createTemporaryConversation({ members: [Ben.id] }))).code, 4302);
  }
}, []);
const chat = await hears(() => Anna.createConversation({ members: [Ben.id], name: 'signed', unique: false }), [
  ...begun(['Anna', 'Ben'], 'Anna', 'Anna Ben'),
]);
ok('creating: signed; otherwise 4302, and nobody hears of it');

await hears(async () => {
  for (const client of [Unsigned, Forging]) {
    const seen = await client.getConversation(chat.id);
    assert.equal((await failure(seen.add([Carl.id]))).code, 4302);
    assert.equal((await failure(seen.remove([Ben.id]))).code, 4302);
  }
}, []);
await hears(() => chat.add([Carl.id]), [
  'Carl INVITED by Anna',
  ...['Anna', 'Ben', 'Carl'].map((who) => `${who} MEMBERS_JOINED by Anna: Carl`),
]);
await hears(() => chat.remove([Carl.id]), [
  'Carl KICKED by Anna',
  ...['Anna', 'Ben'].map((who) => `${who} MEMBERS_LEFT by Anna: Carl`),
]);
ok('inviting and removing: signed; otherwise 4302');

const carls = await Carl.getConversation(chat.id, true);
await carls.join();
await carls.quit();
const unsignedCarl = await connect({}, another()).createIMClient(Carl.id, { signatureFactory: login() });
const again = await unsignedCarl.getConversation(chat.id);
assert.equal((await failure(again.join())).code, 4302);
await carls.join();
await again.quit();
assert.deepEqual([...(await Anna.getConversation(chat.id, true)).members].sort(), [Anna.id, Ben.id].sort());
ok('joining: signed; leaving: always free');

const roomed = await Anna.createChatRoom({ name: 'hall' });
await (await Carl.getConversation(roomed.id)).join();
assert.equal((await failure((await unsignedCarl.getConversation(roomed.id)).join())).code, 4302);
ok('so it is with chat rooms');

await hears(async () => {
  for (const client of [Unsigned, Forging]) {
    const seen = await client.getConversation(chat.id);
    assert.equal((await failure(seen.blockMembers([Ben.id]))).code, 4546);
    assert.equal((await failure(seen.unblockMembers([Ben.id]))).code, 4546);
  }
}, []);
assert.deepEqual(outcome(await chat.blockMembers([Ben.id])), { done: [Ben.id], refused: {} });
assert.deepEqual((await chat.queryBlockedMembers()).results, [Ben.id]);
assert.deepEqual(outcome(await chat.unblockMembers([Ben.id])), { done: [Ben.id], refused: {} });
ok('blocking and unblocking: signed; otherwise 4546');

await chat.add([Ben.id]);
const backs = [Anna, Ben, Carl].map((client) => next(client, Event.RECONNECT));
realtime.pause();
realtime.resume();
await Promise.all(backs);
const arrival = next(Ben, Event.MESSAGE);
await chat.send(new sdk.TextMessage('still here'));
assert.equal((await arrival)[0].text, 'still here');
ok('coming back after a lost connection needs no new signature');
finish('Signed and sealed.');

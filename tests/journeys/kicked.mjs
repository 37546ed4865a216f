// Kicked by the app's own server: the client is told why, stays away, and comes back only with a newer signature.
//
// IMCORE_MASTER_KEY: of an application that wants signatures. API_URL: the server's REST API.

import { createHmac, randomBytes } from 'node:crypto';

import { Event, another, assert, connect, cut, eventually, failure, finish, next, ok, own, through } from './journey.mjs';

const { IMCORE_APP_ID: app, IMCORE_MASTER_KEY: key, API_URL: api } = process.env;
const signed = (client, at = Date.now()) => {
  const nonce = randomBytes(8).toString('hex');
  const signature = createHmac('sha1', key).update([app, client, '', at, nonce].join(':')).digest('hex');
  return { timestamp: at, nonce, signature };
};
const signatureFactory = async (client) => signed(client);
const ask = async (path, body) => {
  const headers = { 'X-LC-Id': app, 'X-LC-Key': `${key},master`, 'Content-Type': 'application/json' };
  const answer = await fetch(`${api}/1.2/rtm/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
  return answer.json();
};
const online = async (...ids) => (await ask('clients/check-online', { client_ids: ids })).results;

// A neighbour keeps the connection open; its SDK then opens everybody again whenever that connection is back.
const shared = connect(through('shared'));
const before = signed(own('Tom'));
const tom = await shared.createIMClient(own('Tom'), { signatureFactory: async () => before });
const guest = await shared.createIMClient(own('Guest'), { signatureFactory });
const pad = await connect({}, another()).createIMClient(tom.id, { signatureFactory });
assert.deepEqual(await online(tom.id, guest.id, own('Nobody')), [tom.id, guest.id]);
ok('on line');

const closing = [tom, pad].map((client) => next(client, Event.CLOSE));
const conflicts = [];
const returns = [];
for (const client of [tom, pad]) {
  client.on(Event.CONFLICT, ({ reason }) => conflicts.push(reason));
  client.on(Event.RECONNECT, () => returns.push(client.id));
}
assert.deepEqual(await ask(`clients/${tom.id}/kick`, { reason: 'House rules' }), {});
for (const [payload] of await Promise.all(closing)) {
  assert.deepEqual({ code: payload.code, reason: payload.reason }, { code: 4115, reason: 'KICKED_BY_APP' });
}
assert.deepEqual(await online(tom.id, guest.id), [guest.id]);
assert.deepEqual(await guest.ping([tom.id, guest.id]), [guest.id]);
ok('both devices are told 4115 KICKED_BY_APP, and their neighbour goes on');

const errors = [];
tom.on(Event.RECONNECT_ERROR, ({ code }) => errors.push(code));
const back = next(guest, Event.RECONNECT);
assert.equal(await cut('shared'), 1);
await back;
await eventually(() => errors.length, 'it is refused');
assert.deepEqual(await online(tom.id, guest.id), [guest.id]);
assert.deepEqual([conflicts, returns], [[], []]);
ok('it does not come back by itself');

const stale = connect({}, another());
const { code } = await failure(stale.createIMClient(tom.id, { signatureFactory: async () => before }));
assert.equal(code, 4102);
await connect({}, another()).createIMClient(tom.id, { signatureFactory });
assert.deepEqual(await online(tom.id), [tom.id]);
ok('the older signature is void: 4102; a newer one logs in');
finish('Kicked, and let in again.');

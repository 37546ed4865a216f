// Users: leancloud-storage signs them up and logs them in, and leancloud-realtime lets them talk.
//
// IMCORE_MASTER_KEY: of the application. SIGNED: whether it wants signatures. API_URL: the server, if IMCORE_URL is a proxy.

import { another, assert, connect, failure, finish, next, ok, own, require, sdk } from './journey.mjs';

const AV = require('leancloud-storage');
const { IMCORE_APP_ID: appId, IMCORE_APP_KEY: appKey, IMCORE_MASTER_KEY: masterKey } = process.env;
// The realtime SDK bears no slash at the end, this one does; both come in old code.
AV.init({ appId, appKey, masterKey, serverURL: `${process.env.API_URL ?? process.env.IMCORE_URL}/` });

const named = (name) => ({ username: own(name), email: `${own(name)}@example.com` });
const phone = `+86182${Math.floor(Math.random() * 1e8)}`.padEnd(14, '0');
const signUp = (name, columns = {}) =>
  new AV.User({ ...named(name), password: 'cheese!', ...columns }).signUp();

const anna = await signUp('Anna', { mobilePhoneNumber: phone, nick: 'A', friends: 1, tags: ['old'] });
assert.match(anna.id, /^[0-9a-f]{24}$/);
assert.match(anna.getSessionToken(), /^[0-9a-z]{25}$/);
assert.equal(anna.get('password'), undefined);
assert.equal(AV.User.current().id, anna.id);
assert.ok(await anna.isAuthenticated());
ok('signed up: with an id and a session, and current');

const code = async (work) => (await failure(work)).code;
assert.equal(await code(signUp('Anna')), 202);
assert.equal(await code(signUp('Anna2', { email: named('Anna').email })), 203);
assert.equal(await code(signUp('Anna2', { mobilePhoneNumber: phone })), 214);
assert.equal(await code(signUp('Anna2', { email: 'nowhere' })), 125);
ok('a name, an address, a number only once');

const token = anna.getSessionToken();
await AV.User.logOut();
assert.equal(AV.User.current(), null);
const { username, email } = named('Anna');
for (const user of [
  await AV.User.logIn(username, 'cheese!'),
  await AV.User.loginWithEmail(email, 'cheese!'),
  await AV.User.logInWithMobilePhone(phone, 'cheese!'),
  await AV.User.become(token),
]) {
  assert.equal(user.id, anna.id);
  assert.equal(user.getSessionToken(), token);
  assert.equal(user.get('nick'), 'A');
  assert.equal(user.getEmail(), email);
  assert.equal(AV.User.current().id, anna.id);
}
ok('logged in by name, address, number and token: the same session each time');

assert.equal(await code(AV.User.logIn(username, 'wrong')), 210);
assert.equal(await code(AV.User.logIn(own('Nobody'), 'cheese!')), 211);
assert.equal(await code(AV.User.become('0'.repeat(25))), 211);
ok('a wrong password, a stranger, a token that is none: 210 and 211');

const current = AV.User.current();
current.set('nick', 'Änni');
current.set('home', { city: 'Paris', at: new AV.GeoPoint(48.85, 2.35), since: new Date(0) });
current.increment('friends', 2);
current.addUnique('tags', ['old', 'new']);
current.set('email', `${own('Anna')}@example.org`);
await current.save();
await current.save({ friends: { __op: 'Increment', amount: 1 } }, { fetchWhenSave: true });
assert.equal(current.get('friends'), 4);
const fetched = await AV.Object.createWithoutData('_User', anna.id).fetch();
assert.equal(fetched.get('nick'), 'Änni');
assert.deepEqual(fetched.get('tags'), ['old', 'new']);
assert.equal(fetched.get('home').city, 'Paris');
assert.equal(+fetched.get('home').since, 0);
assert.equal(fetched.get('email'), `${own('Anna')}@example.org`);
current.unset('home');
await current.save();
assert.equal((await AV.Object.createWithoutData('_User', anna.id).fetch()).get('home'), undefined);
ok('changed: columns, operators, an address; fetched again');

const ben = await signUp('Ben');
assert.equal(AV.User.current().id, ben.id);
const seen = await new AV.Query('_User').get(anna.id);
assert.equal(seen.get('nick'), 'Änni');
assert.equal(seen.get('email'), undefined);
assert.equal(await code(seen.save({ nick: 'stolen' })), 403);
assert.equal(await code(seen.destroy()), 403);
assert.equal(await code(new AV.Query('_User').find()), 403);
const all = await new AV.Query('_User').equalTo('username', username).find({ useMasterKey: true });
assert.deepEqual(all.map((user) => user.id), [anna.id]);
ok('others see what is not private, and change nothing');

await AV.User.become(token);
const self = AV.User.current();
const fresh = (await self.refreshSessionToken()).getSessionToken();
assert.notEqual(fresh, token);
assert.equal(await current.isAuthenticated(), false);
assert.ok(await AV.User.current().isAuthenticated());
ok('a new token ends the old one, which is no longer authenticated');

assert.equal(await code(self.updatePassword('wrong', 'mouse!')), 210);
await self.updatePassword('cheese!', 'mouse!');
assert.ok(await self.isAuthenticated());
assert.equal(await code(AV.User.logIn(username, 'cheese!')), 210);
await AV.User.logIn(username, 'mouse!');
ok('a new password takes the place of the old one');

const device = await AV.User.loginAnonymously();
assert.ok(device.isAnonymous());
assert.ok(await device.isAuthenticated());
ok('anonymously');

// In the applications of this journey logging in to messaging needs a signature, or does not.
const realtime = connect();
const again = await AV.User.logIn(username, 'mouse!');
const [Anna, Ben] = [await realtime.createIMClient(again), await realtime.createIMClient(ben)];
assert.equal(Anna.id, anna.id);
const chat = await Anna.createConversation({ members: [Ben.id], name: 'users', unique: false });
const arrival = next(Ben, sdk.Event.MESSAGE);
await chat.send(new sdk.TextMessage('hello, Ben'));
assert.equal((await arrival)[0].text, 'hello, Ben');
ok('and they talk: the server signs their log-in');

const elsewhere = connect({}, another());
const stale = AV.Object.createWithoutData('_User', anna.id);
stale._sessionToken = token;
assert.equal(await code(elsewhere.createIMClient(stale)), 211);
const unsigned = await elsewhere.createIMClient(own('Mallory')).then(() => 'let in', (error) => error.code);
assert.equal(unsigned, process.env.SIGNED === '1' ? 4102 : 'let in');
ok('nothing is signed for a session that is over');

for (let time = 1; time <= 7; time += 1) {
  assert.equal(await code(AV.User.logIn(username, 'wrong')), time < 7 ? 210 : 219);
}
assert.equal(await code(AV.User.logIn(username, 'mouse!')), 219);
ok('seven wrong passwords lock the account');

assert.equal(await code(AV.User.requestPasswordReset('nobody@example.com')), 205);
assert.equal(await code(AV.User.requestLoginSmsCode(phone)), 119);
ok('no mail, no text messages');

await AV.User.become(ben.getSessionToken());
await AV.User.current().destroy();
assert.equal(await code(AV.User.logIn(named('Ben').username, 'cheese!')), 211);
ok('deleted');
finish('Signed up and talked.');

// The SDK's query builder against the server: every method of ConversationQuery, and the look-ups by id.

import { readFileSync } from 'node:fs';

import { another, assert, connect, finish, isVersion4, ok, own, sdk } from './journey.mjs';

const me = own('Mira');
const [tina, zoe] = [own('Tina'), own('Zoe')];
const kind = own('kind'); // bounds every query to this run
const realtime = connect();
const client = await realtime.createIMClient(me);

const made = {};
const make = async (name, members, properties) => {
  made[name] = await client.createConversation({ members, name, kind, unique: false, ...properties });
  return made[name];
};
await make('a.b (1)', [tina], { level: 1, colours: ['red', 'blue'], opened: new Date('2020-01-01T00:00:00.000Z') });
await make('axb [2]', [tina, zoe], { level: 2, colours: ['red'], opened: new Date('2021-06-01T00:00:00.000Z') });
await make('周末 爬山', [zoe], { level: 3, nested: { topic: '旅行' }, note: 'one\ntwo' });
await make('爬山 归来', [], { level: 4, note: 'ONE\nTWO' });
await make('q\\E.*', [tina], { level: 5 });

const query = () => client.getQuery().equalTo('kind', kind).limit(50);
const names = async (found) => (await found.find()).map((conversation) => conversation.name);
const is = async (found, expected, what) => {
  assert.deepEqual((await names(found.ascending('level'))).sort(), [...expected].sort(), what);
  ok(what);
};
const [ab, axb, climb, back, quoted] = Object.keys(made);

await is(query(), [ab, axb, climb, back, quoted], 'equalTo on a property of ours');
await is(query().equalTo('objectId', made[axb].id), [axb], 'equalTo objectId');
await is(query().equalTo('colours', 'blue'), [ab], 'equalTo on an array means contains');
await is(query().notEqualTo('level', 3), [ab, axb, back, quoted], 'notEqualTo');
await is(query().lessThan('level', 2), [ab], 'lessThan');
await is(query().lessThanOrEqualTo('level', 2), [ab, axb], 'lessThanOrEqualTo');
await is(query().greaterThan('level', 4), [quoted], 'greaterThan');
await is(query().greaterThanOrEqualTo('level', 4), [back, quoted], 'greaterThanOrEqualTo');
await is(query().greaterThan('opened', new Date('2020-06-01')), [axb], 'greaterThan on a date of ours');
await is(query().lessThan('opened', new Date('2020-06-01')), [ab], 'lessThan on a date of ours');
await is(query().greaterThan('createdAt', new Date(Date.now() - 3600_000)), Object.keys(made), 'greaterThan createdAt');
await is(query().greaterThan('createdAt', new Date(Date.now() + 3600_000)), [], 'nothing is from the future');
await is(query().exists('colours'), [ab, axb], 'exists');
await is(query().doesNotExist('colours'), [climb, back, quoted], 'doesNotExist');
await is(query().containedIn('level', [1, 4, 9]), [ab, back], 'containedIn');
await is(query().notContainsIn('level', [1, 4, 9]), [axb, climb, quoted], 'notContainsIn');
await is(query().containsAll('colours', ['blue', 'red']), [ab], 'containsAll');
await is(query().sizeEqualTo('colours', 1), [axb], 'sizeEqualTo');
await is(query().equalTo('nested.topic', '旅行'), [climb], 'equalTo below a property');
await is(query().equalTo('name', '周末 爬山'), [climb], 'equalTo in Chinese');
await is(query().containedIn('name', ['周末 爬山', '归来']), [climb], 'containedIn in Chinese');

await is(query().containsMembers([tina]), [ab, axb, quoted], 'containsMembers');
await is(query().containsMembers([tina, zoe]), [axb], 'containsMembers of several');
await is(query().withMembers([me, tina]), [ab, quoted], 'withMembers: exactly these');
await is(query().withMembers([tina], true), [ab, quoted], 'withMembers and oneself');
await is(query().withMembers([me]), [back], 'withMembers: alone');

await is(query().startsWith('name', 'a.b'), [ab], 'startsWith takes a dot as a dot');
await is(query().startsWith('name', '爬山'), [back], 'startsWith in Chinese');
await is(query().contains('name', '爬山'), [climb, back], 'contains in Chinese');
await is(query().contains('name', '[2'), [axb], 'contains takes a bracket as a bracket');
await is(query().contains('name', 'q\\E.*'), [quoted], 'contains what ends a quotation');
await is(query().endsWith('name', '(1)'), [ab], 'endsWith takes parentheses as parentheses');
await is(query().startsWith('name', 'q\\E.'), [quoted], 'startsWith what ends a quotation');
await is(query().endsWith('name', '\\E.*'), [quoted], 'endsWith what ends a quotation');
await is(query().endsWith('name', '爬山'), [climb], 'endsWith in Chinese');
await is(query().contains('nested.topic', '旅'), [climb], 'contains below a property');
await is(query().matches('name', /^a.b/), [ab, axb], 'matches: a dot is any character');
await is(query().matches('name', /^A.B/i), [ab, axb], 'matches with i');
await is(query().matches('name', /^((?!爬山).)*$/), [ab, axb, quoted], 'matches with a lookahead: does not contain');
await is(query().matches('name', /[\u4e00-\u9fa5]/), [climb, back], 'matches with a range of Chinese characters');
await is(query().matches('note', /^two$/m), [climb], 'matches with m');
await is(query().matches('note', /^two$/im), [climb, back], 'matches with m and i');

if (!isVersion4) {
  const { ConversationQuery } = sdk;
  const both = [client.getQuery().equalTo('level', 1), client.getQuery().equalTo('level', 5)];
  await is(ConversationQuery.and(query(), ConversationQuery.or(...both)), [ab, quoted], 'or within and');
  assert.equal((await query().descending('level').first()).name, quoted);
  assert.equal(await query().equalTo('level', 99).first(), undefined);
  ok('first: one, or nothing');
}

assert.deepEqual(await names(query().descending('level')), [quoted, back, climb, axb, ab]);
assert.deepEqual(await names(query().ascending('level').limit(2)), [ab, axb]);
assert.deepEqual(await names(query().ascending('level').limit(2).skip(2)), [climb, back]);
assert.deepEqual(await names(query().descending('kind').addAscending('level').limit(1)), [ab]);
assert.deepEqual(await names(query().ascending('kind').addDescending('level').limit(1)), [quoted]);
assert.deepEqual(await names(query().ascending('level').limit(0)), []);
ok('ascending, descending, addAscending, addDescending, limit, skip');

const sent = await made[climb].send(new sdk.TextMessage('last words'));
const [plain] = await query().equalTo('level', 3).find();
assert.equal(plain.lastMessageAt.getTime(), sent.timestamp.getTime());
const other = await connectAgain();
const [refreshed] = await other.getQuery().equalTo('kind', kind).equalTo('level', 3).withLastMessagesRefreshed().find();
assert.equal(refreshed.lastMessage.text, 'last words');
assert.equal(refreshed.lastMessage.from, me);
assert.equal(refreshed.lastMessage.id, sent.id);
ok('withLastMessagesRefreshed brings the last message');

const third = await connectAgain();
const [compact] = await third.getQuery().equalTo('kind', kind).equalTo('level', 2).compact().find();
assert.deepEqual(compact.members, []);
assert.equal(compact.name, axb);
ok('compact brings no members');

// By default: my own, the most recently active first.
const fourth = await connectAgain();
const mine = await fourth.getQuery().find();
assert.deepEqual(mine.map((conversation) => conversation.name), [climb, quoted, back, axb, ab]);
ok('without a condition: my conversations, newest activity first');

const ids = Object.values(made).map((conversation) => conversation.id);
const asked = [ids[0], '0123456789abcdef01234567', ...ids.slice(1)];
const found = await third.getConversations(asked, true);
assert.deepEqual(found.map((conversation) => conversation?.id ?? null), [ids[0], null, ...ids.slice(1)]);
ok('getConversations: in the order asked, null where there is none');
assert.equal(await third.getConversation('0123456789abcdef01234567'), null);
assert.equal((await third.getConversation(ids[4])).get('level'), 5);
ok('getConversation: one, or null');

const room = await client.createChatRoom({ name: '大厅', kind });
assert.deepEqual(await names(client.getChatRoomQuery().equalTo('kind', kind)), ['大厅']);
assert.deepEqual(await names(client.getChatRoomQuery().equalTo('kind', kind).contains('name', '爬')), []);
assert.deepEqual(await names(client.getServiceConversationQuery().equalTo('kind', kind)), []);
assert.ok((await client.getQuery().equalTo('objectId', room.id).find())[0] instanceof sdk.ChatRoom);
ok('getChatRoomQuery, getServiceConversationQuery: only rooms, only services');

const many = [];
for (let i = 0; i < 120; i += 20) {
  const twenty = Array.from({ length: 20 }, (_, n) => ({ members: [], many: i + n, unique: false }));
  many.push(...(await Promise.all(twenty.map((properties) => client.createConversation(properties)))));
}
const fifth = await connectAgain();
const all = await fifth.getConversations(many.map((conversation) => conversation.id));
assert.deepEqual(all.map((conversation) => conversation?.get('many')), [...Array(120).keys()]);
ok('getConversations: 120 at once');

assert.equal((await client.getQuery().containsMembers([me]).find()).length, 10);
ok('ten conversations unless more are asked for');

const builder = Object.getPrototypeOf(query());
const functions = [builder, builder.constructor].flatMap((from) => Object.getOwnPropertyNames(from));
const notOffered = ['constructor', 'toJSON', 'length', 'name', 'prototype'];
const offered = functions.filter((method) => /^[a-z]/.test(method) && !notOffered.includes(method));
const source = readFileSync(new URL(import.meta.url), 'utf8');
assert.deepEqual(offered.filter((method) => !source.includes(`.${method}(`)), []);
assert.ok(offered.includes('equalTo') && (isVersion4 || offered.includes('and')));
ok(`all ${offered.length} methods of the query builder`);
finish('All queries are answered.');

// A client without the conversations the first one has in its cache.
async function connectAgain() {
  return connect({}, another()).createIMClient(me);
}

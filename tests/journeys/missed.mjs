// What happens to somebody while he is away reaches him when he comes back, once. Needs roles and block lists.

import { Event, another, assert, begun, connect, eventually, finish, next, ok, own, sdk, witness } from './journey.mjs';

const bensSdk = another();
const connection = connect({}, bensSdk);
const Anna = await connect().createIMClient(own('Anna'));
const Ben = await connection.createIMClient(own('Ben'));
const hears = witness({ Ben }, { places: true });
const away = async () => {
  connection.pause();
  await eventually(async () => (await Anna.ping([Ben.id])).length === 0, 'Ben is offline');
};
const back = async () => {
  const reconnected = next(Ben, Event.RECONNECT);
  connection.resume();
  await reconnected;
};
const start = (name, members) => Anna.createConversation({ members, name, unique: false });

const chats = {};
await hears(
  async () => {
    for (const name of ['left', 'quiet', 'loud', 'barred']) chats[name] = await start(name, [Ben.id]);
  },
  begun(['Ben in left', 'Ben in quiet', 'Ben in loud', 'Ben in barred'], 'Anna', 'Anna Ben'),
);
await hears(() => chats.loud.muteMembers([Ben.id]), [
  'Ben in loud MUTED by Anna',
  'Ben in loud MEMBERS_MUTED by Anna: Ben',
]);
await hears(
  async () => {
    await away();
    chats.fresh = await start('fresh', []);
    await chats.fresh.add([Ben.id]);
    await chats.left.remove([Ben.id]);
    await chats.quiet.muteMembers([Ben.id]);
    await chats.loud.unmuteMembers([Ben.id]);
    await chats.barred.blockMembers([Ben.id]);
    await chats.barred.unblockMembers([Ben.id]);
    chats.quiet.set('topic', 'new');
    await chats.quiet.save();
    await back();
  },
  [
    'Ben in fresh INVITED by Anna',
    'Ben in left KICKED by Anna',
    'Ben in quiet MUTED by Anna',
    'Ben in loud UNMUTED by Anna',
    'Ben in barred BLOCKED by Anna',
    'Ben in barred KICKED by Anna',
    'Ben in barred UNBLOCKED by Anna',
  ],
);
const quiet = await Ben.getConversation(chats.quiet.id, true);
assert.equal(quiet.get('topic'), 'new');
const fresh = await Ben.getConversation(chats.fresh.id);
const arrival = next(Ben, Event.MESSAGE);
await chats.fresh.send(new sdk.TextMessage('welcome'));
await arrival;
await fresh.send(new bensSdk.TextMessage('thanks'));
ok('back: invited, kicked, silenced, let speak, blocked and unblocked');

await hears(
  async () => {
    await away();
    // More than one page.
    for (let i = 0; i < 60; i += 1) await (i % 2 ? chats.fresh.add([Ben.id]) : chats.fresh.remove([Ben.id]));
    await back();
  },
  Array.from({ length: 60 }, (_, i) => `Ben in fresh ${i % 2 ? 'INVITED' : 'KICKED'} by Anna`),
);
assert.ok(fresh.members.includes(Ben.id));
ok('all of what is more than a page, and nothing of what has come before');
finish('Nothing was missed.');

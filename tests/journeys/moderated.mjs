// Silenced, blocked and promoted by a back end over HTTP, as the SDK's clients hear of it.
//
// IMCORE_MASTER_KEY: of an application with roles and block lists.

import { assert, backEnd, begun, connect, eventually, failure, finish, ok, own, sdk, witness } from './journey.mjs';

const { TextMessage } = sdk;
const realtime = connect();
const clients = {};
for (const name of ['Anna', 'Ben', 'Carl']) clients[name] = await realtime.createIMClient(own(name));
const { Anna, Ben, Carl } = clients;
const hears = witness(clients);
const nobody = '';

const chat = await hears(() => Anna.createConversation({ members: [Ben.id, Carl.id], name: 'club', unique: false }), [
  ...begun(['Anna', 'Ben', 'Carl'], 'Anna', 'Anna Ben Carl'),
]);
const bens = await Ben.getConversation(chat.id);
const path = `conversations/${chat.id}`;

await hears(() => backEnd('POST', `${path}/temporary-silenceds`, { client_id: Ben.id, ttl: 3600 }), []);
assert.equal((await failure(bens.send(new TextMessage('hello')))).code, 4315);
await hears(() => backEnd('DELETE', `${path}/temporary-silenceds?client_id=${Ben.id}`), []);
await bens.send(new TextMessage('hello'));
ok('silenced for a time: nobody is told, and sending fails with 4315 until that is ended');

const three = ['Anna', 'Ben', 'Carl'];
await hears(
  () => backEnd('POST', `${path}/permanent-silenceds`, { client_ids: [Ben.id] }),
  [`Ben MUTED by ${nobody}`, ...three.map((who) => `${who} MEMBERS_MUTED by ${nobody}: Ben`)],
);
assert.equal((await failure(bens.send(new TextMessage('hello')))).code, 4563);
assert.deepEqual((await chat.queryMutedMembers()).results, [Ben.id]);
assert.deepEqual(await backEnd('GET', `${path}/permanent-silenceds`), { client_ids: [Ben.id] });
await hears(
  () => backEnd('DELETE', `${path}/permanent-silenceds`, { client_ids: [Ben.id] }),
  [`Ben UNMUTED by ${nobody}`, ...three.map((who) => `${who} MEMBERS_UNMUTED by ${nobody}: Ben`)],
);
await bens.send(new TextMessage('hello again'));
ok('silenced for good: MUTED for him, MEMBERS_MUTED for all, 4563; and the same back');

const info = await hears(
  () => backEnd('POST', `${path}/member-infos`, { clientId: Ben.id, role: 'Manager' }),
  three.map((who) => `${who} MEMBER_INFO_UPDATED by ${nobody}: Ben Manager`),
);
await hears(
  () => bens.muteMembers([Carl.id]),
  ['Carl MUTED by Ben', ...three.map((who) => `${who} MEMBERS_MUTED by Ben: Carl`)],
);
await hears(
  () => backEnd('DELETE', `${path}/member-infos/${info.objectId}`),
  three.map((who) => `${who} MEMBER_INFO_UPDATED by ${nobody}: Ben Member`),
);
assert.equal((await failure(bens.unmuteMembers([Carl.id]))).code, 4320);
ok('a Manager by grace of the back end silences others, until that is taken back');

await hears(
  () => backEnd('POST', `${path}/blacklists`, { client_ids: [Ben.id] }),
  [
    `Anna MEMBERS_BLOCKED by ${nobody}: Ben`,
    `Anna MEMBERS_LEFT by ${nobody}: Ben`,
    `Ben BLOCKED by ${nobody}`,
    `Ben KICKED by ${nobody}`,
    `Carl MEMBERS_BLOCKED by ${nobody}: Ben`,
    `Carl MEMBERS_LEFT by ${nobody}: Ben`,
  ],
);
assert.equal((await failure(bens.join())).code, 4548);
assert.deepEqual((await chat.queryBlockedMembers()).results, [Ben.id]);
await hears(() => backEnd('DELETE', `${path}/blacklists`, { client_ids: [Ben.id] }), [
  `Anna MEMBERS_UNBLOCKED by ${nobody}: Ben`,
  `Ben UNBLOCKED by ${nobody}`,
  `Carl MEMBERS_UNBLOCKED by ${nobody}: Ben`,
]);
await bens.join();
ok('blocked: BLOCKED and KICKED for him, 4548 when he comes, until he is unblocked');

const room = await Anna.createChatRoom({ name: 'open' });
const bensRoom = await Ben.getConversation(room.id);
await bensRoom.join();
await hears(() => backEnd('POST', `chatrooms/${room.id}/blacklists`, { client_ids: [Ben.id] }), [
  `Ben BLOCKED by ${nobody}`,
]);
await eventually(async () => (await room.count()) === 1, 'Ben is out of the room');
assert.equal((await failure(bensRoom.join())).code, 4548);
ok('in a chat room: the blocked one is put out and told, nobody else is');

const other = await Anna.createConversation({ members: [], name: 'other', unique: false });
await backEnd('POST', `clients/${Ben.id}/blacklists`, { conv_id: other.id });
assert.equal((await other.add([Ben.id])).failures[0].code, 4548);
await backEnd('DELETE', `clients/${Ben.id}/blacklists`, { conv_id: other.id });
assert.deepEqual((await other.add([Ben.id])).successfulClientIds, [Ben.id]);
ok('who is not to be pulled into a conversation is not: 4548');
finish('The back end has had its say.');

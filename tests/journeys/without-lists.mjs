// An application that has neither roles nor block lists: as LeanCloud's are until somebody switches them on.

import { assert, begun, connect, failure, finish, ok, own, sdk, witness } from './journey.mjs';

const realtime = connect();
const clients = {};
for (const name of ['Anna', 'Ben', 'Carl']) clients[name] = await realtime.createIMClient(own(name));
const { Anna, Ben, Carl } = clients;
const hears = witness(clients);
const chat = await hears(() => Anna.createConversation({ members: [Ben.id, Carl.id], name: 'equals', unique: false }), [
  ...begun(['Anna', 'Ben', 'Carl'], 'Anna', 'Anna Ben Carl'),
]);
const bens = await Ben.getConversation(chat.id);

await hears(async () => {
  assert.equal((await failure(chat.updateMemberRole(Ben.id, sdk.ConversationMemberRole.MANAGER))).code, 4325);
  assert.equal((await failure(chat.muteMembers([Ben.id]))).code, 4325);
  assert.equal((await failure(chat.unmuteMembers([Ben.id]))).code, 4325);
  assert.equal((await failure(chat.blockMembers([Ben.id]))).code, 4544);
  assert.equal((await failure(chat.unblockMembers([Ben.id]))).code, 4544);
  assert.equal((await failure(chat.queryBlockedMembers())).code, 4544);
}, []);
ok('roles and silencing are refused with 4325, block lists with 4544, and nobody hears of it');

await hears(() => bens.remove([Carl.id]), [
  'Carl KICKED by Ben',
  'Anna MEMBERS_LEFT by Ben: Carl',
  'Ben MEMBERS_LEFT by Ben: Carl',
]);
await hears(() => bens.remove([Anna.id]), ['Anna KICKED by Ben', 'Ben MEMBERS_LEFT by Ben: Anna']);
await chat.join();
await chat.quit();
ok('members remove each other, the owner too, who may leave as well');
finish('All are equal.');

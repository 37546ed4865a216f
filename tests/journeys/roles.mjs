// Roles: Owner, Manager, Member, and what each may do to whom. Needs an application with roles.

import { Event, another, assert, begun, connect, failure, finish } from './journey.mjs';
import { next, ok, outcome, own, sdk, witness } from './journey.mjs';

const { OWNER, MANAGER, MEMBER } = sdk.ConversationMemberRole;
const realtime = connect();
const names = ['Anna', 'Ben', 'Carl', 'Dora'];
const clients = {};
for (const name of names) clients[name] = await realtime.createIMClient(own(name));
const { Anna, Ben, Carl, Dora } = clients;
const hears = witness(clients);
const everybody = (row) => names.map((who) => `${who} ${row}`);
const rolesIn = async (conversation) => {
  const infos = await conversation.getAllMemberInfo({ noCache: true });
  return Object.fromEntries(infos.map(({ memberId, role }) => [memberId.split('-')[0], role]));
};

const members = [Ben.id, Carl.id, Dora.id];
const chat = await hears(() => Anna.createConversation({ members, name: 'club', unique: false }), [
  ...begun(names, 'Anna', 'Anna Ben Carl Dora'),
]);
const seats = { Anna: chat };
for (const name of ['Ben', 'Carl', 'Dora']) seats[name] = await clients[name].getConversation(chat.id);
assert.deepEqual(await rolesIn(chat), { Anna: OWNER, Ben: MEMBER, Carl: MEMBER, Dora: MEMBER });
ok('at first: who has created it owns it, the others are members');

await hears(() => seats.Anna.quit(), [
  'Anna KICKED by Anna',
  ...['Ben', 'Carl', 'Dora'].map((who) => `${who} MEMBERS_LEFT by Anna: Anna`),
]);
await hears(() => seats.Anna.join(), ['Anna INVITED by Anna', ...everybody('MEMBERS_JOINED by Anna: Anna')]);
ok('as long as nobody has a role, the owner may leave and come back');

const emitted = next(seats.Carl, Event.MEMBER_INFO_UPDATED);
await hears(() => chat.updateMemberRole(Ben.id, MANAGER), everybody('MEMBER_INFO_UPDATED by Anna: Ben Manager'));
const [{ member, memberInfo, updatedBy }] = await emitted;
assert.deepEqual([member, updatedBy, memberInfo.conversationId, memberInfo.isOwner], [Ben.id, Anna.id, chat.id, false]);
assert.equal((await seats.Dora.getMemberInfo(Ben.id)).role, MANAGER);
assert.deepEqual(await rolesIn(seats.Carl), { Anna: OWNER, Ben: MANAGER, Carl: MEMBER, Dora: MEMBER });
const phone = await connect({}, another()).createIMClient(Carl.id);
const onPhone = await phone.getConversation(chat.id);
assert.deepEqual(await rolesIn(onPhone), { Anna: OWNER, Ben: MANAGER, Carl: MEMBER, Dora: MEMBER });
assert.equal((await onPhone.getMemberInfo(Anna.id)).isOwner, true);
ok('a new Manager: everybody hears of it, and whoever asks sees it');

await hears(async () => {
  assert.equal((await failure(chat.updateMemberRole(Ben.id, OWNER))).code, 5130);
  assert.equal((await failure(chat.updateMemberRole(Ben.id, 'King'))).code, 4321);
  assert.equal((await failure(seats.Carl.updateMemberRole(Carl.id, MANAGER))).code, 4320);
  assert.equal((await failure(seats.Ben.updateMemberRole(Carl.id, MANAGER))).code, 4320);
  assert.equal((await failure(seats.Ben.updateMemberRole(Ben.id, MEMBER))).code, 4320);
}, []);
ok('nobody makes an Owner (5130), a King (4321), or himself or others a Manager without owning it (4320)');

await hears(async () => {
  assert.equal((await failure(seats.Carl.remove([Dora.id]))).code, 4320);
  assert.deepEqual(outcome(await seats.Ben.remove([Anna.id])), { done: [], refused: { [Anna.id]: 4324 } });
  assert.equal((await failure(seats.Anna.quit())).code, 4324);
}, []);
ok('members remove nobody (4320); nobody removes the owner, nor may she leave any more (4324)');

await hears(() => chat.updateMemberRole(Dora.id, MANAGER), everybody('MEMBER_INFO_UPDATED by Anna: Dora Manager'));
assert.deepEqual(await rolesIn(seats.Ben), { Anna: OWNER, Ben: MANAGER, Carl: MEMBER, Dora: MANAGER });
const partly = await hears(
  () => seats.Ben.remove([Dora.id, Carl.id]),
  ['Carl KICKED by Ben', ...['Anna', 'Ben', 'Dora'].map((who) => `${who} MEMBERS_LEFT by Ben: Carl`)],
);
assert.deepEqual(outcome(partly), { done: [Carl.id], refused: { [Dora.id]: 4320 } });
ok('a Manager removes members, not other Managers (4320)');

await hears(() => seats.Carl.join(), ['Carl INVITED by Carl', ...everybody('MEMBERS_JOINED by Carl: Carl')]);
await hears(() => seats.Ben.muteMembers([Carl.id]), [
  'Carl MUTED by Ben',
  ...everybody('MEMBERS_MUTED by Ben: Carl'),
]);
await hears(() => chat.muteMembers([Ben.id]), ['Ben MUTED by Anna', ...everybody('MEMBERS_MUTED by Anna: Ben')]);
assert.equal((await failure(seats.Ben.unmuteMembers([Ben.id]))).code, 4320);
await chat.unmuteMembers([Ben.id, Carl.id]);
ok('a Manager silences members; silenced himself, he cannot lift it (4320)');

await hears(() => chat.updateMemberRole(Ben.id, MEMBER), everybody('MEMBER_INFO_UPDATED by Anna: Ben Member'));
assert.equal((await failure(seats.Ben.remove([Carl.id]))).code, 4320);
assert.deepEqual(await rolesIn(onPhone), { Anna: OWNER, Ben: MEMBER, Carl: MEMBER, Dora: MANAGER });
await hears(() => chat.remove([Dora.id]), [
  'Dora KICKED by Anna',
  ...['Anna', 'Ben', 'Carl'].map((who) => `${who} MEMBERS_LEFT by Anna: Dora`),
]);
await seats.Dora.join();
assert.equal((await rolesIn(chat)).Dora, MEMBER);
ok('a Manager no more: by another role, or by leaving');

finish('Everybody knows his place.');

// What a back end does with conversations over HTTP, as the SDK's clients hear of it.
//
// IMCORE_MASTER_KEY: the application's.

import { Event, assert, backEnd, begun, connect, failure, finish, next, ok, own, sdk, witness } from './journey.mjs';

const { TextMessage } = sdk;
const [tom, jerry, boss] = ['Tom', 'Jerry', 'Boss'].map(own);
const realtime = connect();
const clients = { Tom: await realtime.createIMClient(tom), Jerry: await realtime.createIMClient(jerry) };
const { Tom, Jerry } = clients;
const hears = witness(clients);
const nobody = '';

const asked = { name: 'team', m: [tom], c: boss, unique: true, attr: { floor: 3 }, color: 'red' };
const made = await hears(() => backEnd('POST', 'conversations', asked), begun(['Tom'], nobody, 'Tom'));
const path = `conversations/${made.objectId}`;
const chat = await Tom.getConversation(made.objectId);
assert.deepEqual([chat.name, chat.creator, chat.members, chat.get('color')], ['team', boss, [tom], 'red']);
assert.equal(chat.get('attr').floor, 3);
const again = await hears(() => backEnd('POST', 'conversations', asked), []);
assert.equal(again.objectId, made.objectId);
ok('a back end makes a conversation: INVITED and MEMBERS_JOINED by nobody; the same once more: nothing');

await hears(
  () => backEnd('POST', `${path}/members`, { client_ids: [jerry] }),
  [
    `Tom MEMBERS_JOINED by ${nobody}: Jerry`,
    `Jerry INVITED by ${nobody}`,
    `Jerry MEMBERS_JOINED by ${nobody}: Jerry`,
  ],
);
assert.deepEqual([...chat.members].sort(), [jerry, tom].sort());
const jerrys = await Jerry.getConversation(chat.id);
const arrival = next(Tom, Event.MESSAGE);
await jerrys.send(new TextMessage('I am in'));
await arrival;
ok('a member added: INVITED and MEMBERS_JOINED, and he can talk');

const rename = { name: 'crew', 'attr.floor': 4 };
await hears(
  () => backEnd('PUT', path, rename),
  ['Tom', 'Jerry'].map((who) => `${who} CONVERSATION_INFO_UPDATED by ${nobody}: ${JSON.stringify(rename)}`),
);
for (const seen of [chat, jerrys]) assert.deepEqual([seen.name, seen.get('attr').floor], ['crew', 4]);
ok('a new name: CONVERSATION_INFO_UPDATED, and both have it');

await backEnd('POST', `${path}/mutes`, { client_ids: [jerry] });
await jerrys.fetch();
assert.deepEqual(jerrys.mutedMembers, [jerry]);
ok('muted: the SDK finds it');

await hears(
  () => backEnd('DELETE', `${path}/members`, { client_ids: [jerry] }),
  [`Tom MEMBERS_LEFT by ${nobody}: Jerry`, `Jerry KICKED by ${nobody}`],
);
assert.deepEqual(chat.members, [tom]);
ok('a member removed: MEMBERS_LEFT and KICKED');

await hears(() => backEnd('DELETE', path), []);
assert.equal((await failure(chat.send(new TextMessage('Hello?')))).code, 4401);
ok('deleted: nobody is told, and a message gets 4401');
finish('A back end keeps order.');

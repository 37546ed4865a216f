// System conversations, as those who follow one see them.
//
// SYSTEM: the id of one. The test looks into its mailbox: `upstream`.

import { Event, ask, assert, connect, failure, finish, next, ok, outcome, own, sdk, texts, witness } from './journey.mjs';

const { TextMessage } = sdk;
const id = process.env.SYSTEM;
const realtime = connect();
const clients = { Sue: await realtime.createIMClient(own('Sue')), Sam: await realtime.createIMClient(own('Sam')) };
const { Sue, Sam } = clients;
const hears = witness(clients);

const [service] = await Sue.getServiceConversationQuery().equalTo('objectId', id).find();
assert.ok(service instanceof sdk.ServiceConversation);
assert.deepEqual([service.system, service.transient, service.name, service.members], [true, false, '天气', []]);
assert.equal(service.get('joined'), false);
assert.ok((await Sue.getServiceConversationQuery().equalTo('name', '天气').find()).includes(service));
assert.deepEqual((await Sue.getQuery().find()).map((conversation) => conversation.id), []);
ok('a query for services finds it, and says that I do not follow it');

const before = await service.count();
await hears(() => service.subscribe(), []);
await service.fetch();
assert.deepEqual([service.get('joined'), service.muted], [true, false]);
assert.ok(Math.abs(service.get('joinedAt') - Date.now()) < 60_000);
await hears(() => service.subscribe(), []);
assert.equal(await service.count(), before + 1);
const sams = await Sam.getConversation(id);
assert.equal(sams.get('joined'), false);
await sams.subscribe();
assert.equal(await service.count(), before + 2);
ok('subscribing: counted, seen afterwards, and nobody is told');

let heard = [];
Sam.on(Event.MESSAGE, (message) => heard.push(message.text));
await service.send(new TextMessage('Will it rain?'));
const chat = await Sue.createConversation({ members: [Sam.id], name: 'private' });
const arrival = next(Sam, Event.MESSAGE, (message) => message.text === 'I have asked');
await chat.send(new TextMessage('I have asked'));
await arrival;
assert.deepEqual(heard, ['I have asked']);
assert.deepEqual(texts(await service.queryMessages()), ['Will it rain?']);
assert.deepEqual(texts(await sams.queryMessages()), []);
ok('what I send reaches no other subscriber, and is in no history but mine');

await hears(() => service.mute(), []);
await service.fetch();
assert.equal(service.muted, true);
await service.unmute();
await service.fetch();
assert.equal(service.muted, false);
ok('mute and unmute');

await sams.unsubscribe();
await sams.unsubscribe();
await sams.fetch();
assert.equal(sams.get('joined'), false);
assert.equal(await service.count(), before + 1);
assert.equal((await failure(sams.queryMessages())).code, 4312);
assert.equal((await failure(sams.mute())).code, 4317);
await sams.send(new TextMessage('Goodbye'));
ok('unsubscribing: not counted, no history; writing to it goes on');
await ask('upstream');
ok('both messages are in the mailbox of the service');

assert.deepEqual(outcome(await service.add([Sam.id])), { done: [], refused: { [Sam.id]: 4308 } });
assert.equal((await failure(service.muteMembers([Sam.id]))).code, 4308);
assert.equal((await failure(service.blockMembers([Sam.id]))).code, 4308);
service.set('name', '海');
assert.equal((await failure(service.save())).code, 4308);
ok('subscribing, silencing or blocking others, or another name, is not for clients: 4308');
finish('The service is served.');

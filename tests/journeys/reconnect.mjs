// The connection breaks, in the ways a server can cause, and the SDK mends it without the app's help.
//
// ROUTER_REQUESTS: a URL that tells how often the router was asked (the test's proxy); unset without a router.

import { Event, another, ask, assert, connect, eventually, finish, next, ok, own, sdk, texts } from './journey.mjs';

const { TextMessage } = sdk;
const [me, she] = [own('Robin'), own('Maria')];
const mine = connect();
const herSdk = another();
const hers = connect({}, herSdk);
const maria = await hers.createIMClient(she);
const robin = await mine.createIMClient(me);
const marys = await maria.createConversation({ members: [me], name: 'chat' });
const chat = await robin.getConversation(marys.id);

let session = 0;
robin.on(Event.RECONNECT_ERROR, (error) => {
  console.log('RECONNECT_ERROR', error.code, error.message);
  session += 1;
});
const talk = async (text) => {
  const [toMaria, toRobin] = [next(maria, Event.MESSAGE), next(robin, Event.MESSAGE)];
  await chat.send(new TextMessage(`${text} →`));
  await marys.send(new herSdk.TextMessage(`← ${text}`));
  assert.deepEqual([(await toMaria)[0].text, (await toRobin)[0].text], [`${text} →`, `← ${text}`]);
};
const routerRequests = async () => (await (await fetch(process.env.ROUTER_REQUESTS)).json()).route;
await talk('before');

const asked = process.env.ROUTER_REQUESTS ? await routerRequests() : 0;
let backs = [next(robin, Event.RECONNECT), next(maria, Event.RECONNECT)];
const dropped = next(mine, Event.DISCONNECT);
await ask('goaway');
await dropped;
await Promise.all(backs);
if (process.env.ROUTER_REQUESTS) {
  assert.equal(await routerRequests(), asked + 2);
  ok('goaway: both ask the router again');
}
await talk('after goaway');
ok('goaway: both reconnect and talk on');

backs = [next(robin, Event.RECONNECT), next(maria, Event.RECONNECT)];
await ask('restart');
await Promise.all(backs);
await talk('after the restart');
ok('a restart of the server: both reconnect and talk on');

backs = [next(robin, Event.RECONNECT), next(maria, Event.RECONNECT)];
await ask('crash');
await Promise.all(backs);
await talk('after the crash');
ok('a crash of the server: both reconnect and talk on');

// What is said while one is away waits in history.
mine.pause();
await eventually(async () => (await maria.ping([me])).length === 0, 'Robin is offline');
await marys.send(new herSdk.TextMessage('missed'));
const back = next(robin, Event.RECONNECT);
mine.resume();
await back;
assert.deepEqual(texts(await chat.queryMessages({ limit: 1 })), ['missed']);
await talk('after the pause');
ok('pause and resume: what was missed is in history');

assert.equal(session, 0);
assert.deepEqual(
  texts(await chat.queryMessages({ limit: 100 })),
  ['before', 'after goaway', 'after the restart', 'after the crash', 'after the pause'].flatMap((text) => [
    ...(text === 'after the pause' ? ['missed'] : []),
    `${text} →`,
    `← ${text}`,
  ]),
);
ok('history holds each message once, in order, across all of it');
await Promise.all([robin.close(), maria.close()]);
finish('Nothing was lost.');

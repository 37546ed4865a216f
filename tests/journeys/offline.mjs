// The mode of old apps: what somebody missed is pushed to him when he comes back. Needs version 4.

import { Event, another, assert, connect, eventually, finish, next, ok, own, sdk, settled, texts } from './journey.mjs';

const { TextMessage } = sdk;
const PUSHED = 20;
const Tom = await connect().createIMClient(own('Tom'));
const herself = own('Mary');
const start = (name) => Tom.createConversation({ members: [herself], name, unique: false });
const [long, short] = [await start('long'), await start('short')];
const say = async (chat, from, to) => {
  for (let i = from; i <= to; i += 1) await chat.send(new TextMessage(`${chat.name} ${i}`), { receipt: true });
};
// Mary at a device of her own, with what she hears of each conversation, and of counts.
const login = async () => {
  const maryConnection = connect({ pushOfflineMessages: true }, another());
  const Mary = await maryConnection.createIMClient(herself);
  const heard = { long: [], short: [] };
  Mary.on(Event.MESSAGE, (message, { name }) => heard[name].push(message.text));
  return { Mary, maryConnection, heard };
};
const rows = (name, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${name} ${from + i}`);
const hears = async ({ Mary, heard }, expected) => {
  const enough = () => Object.entries(expected).every(([name, some]) => heard[name].length >= some.length);
  await eventually(enough, 'as many messages as expected').catch(() => {});
  await settled(Mary);
  assert.deepEqual(heard, expected);
};
// Her acknowledgements go out once a second.
const acknowledged = (chat) =>
  eventually(async () => (await chat.queryMessages({ limit: 1 }))[0].deliveredAt, 'her device has acknowledged it');

await say(long, 1, 25);
await say(short, 1, 3);
let mary = await login();
await hears(mary, { long: rows('long', 6, 25), short: rows('short', 1, 3) });
ok(`at login: the last ${PUSHED} of each conversation, in order`);
const longs = await mary.Mary.getConversation(long.id);
assert.deepEqual(texts(await longs.queryMessages({ limit: 100 })), rows('long', 1, 25));
ok('history has the older ones');

await say(short, 4, 4);
await hears(mary, { long: rows('long', 6, 25), short: rows('short', 1, 4) });
await Promise.all([acknowledged(long), acknowledged(short)]);
mary.maryConnection.pause();
await eventually(async () => (await Tom.ping([herself])).length === 0, 'Mary is off line');
await say(short, 5, 6);
const back = next(mary.Mary, Event.RECONNECT);
mary.maryConnection.resume();
await back;
await hears(mary, { long: rows('long', 6, 25), short: rows('short', 1, 6) });
ok('back from a lost connection: what came meanwhile, and nothing of what was acknowledged');

await acknowledged(short);
await mary.Mary.close();
await say(long, 26, 26);
mary = await login();
await say(short, 7, 7);
await hears(mary, { long: ['long 26'], short: ['short 7'] });
ok('and so at the next login');
finish('Nothing had to be asked for.');

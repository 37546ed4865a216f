// A stream of messages while the connections of its sender and of its receiver break: none is lost, none comes twice.
// Needs a proxy (`through`).

import { Event, another, assert, connect, cut, eventually, finish, next, ok, own, sdk, texts, through } from './journey.mjs';

const { MessageQueryDirection, TextMessage } = sdk;
const AT_LEAST = 30;

const sender = await connect(through('sender')).createIMClient(own('Sender'));
const receiver = await connect(through('receiver'), another()).createIMClient(own('Receiver'));
const chat = await sender.createConversation({ members: [receiver.id], name: 'stream' });
const received = await receiver.getConversation(chat.id);

// The receiver shows what comes; when it is back, first what history has since, and what came meanwhile after it.
const shown = new Map();
const show = (message) => shown.has(message.id) || shown.set(message.id, message);
let meanwhile = null;
let fromHistory = 0;
receiver.on(Event.MESSAGE, (message) => (meanwhile ? meanwhile.push(message) : show(message)));
receiver.on(Event.RECONNECT, async () => {
  meanwhile = [];
  let page;
  do {
    const last = [...shown.values()].at(-1);
    const from = last ? { startTime: last.timestamp, startMessageId: last.id } : {};
    page = await received.queryMessages({ direction: MessageQueryDirection.OLD_TO_NEW, limit: 20, ...from });
    page.forEach(show);
    fromHistory += page.length;
  } while (page.length === 20);
  meanwhile.forEach(show);
  meanwhile = null;
});

// The sender sends again, once it is back, what was not acknowledged: the same message, so with the same token. The SDK
// itself would wait 20 s for an answer that cannot come.
let resent = 0;
let back = () => {};
sender.on(Event.RECONNECT, () => back());
const send = async (message) => {
  const reconnected = new Promise((resolve) => {
    back = () => resolve('again');
  });
  const sent = chat.send(message).catch(() => reconnected);
  if ((await Promise.race([sent, reconnected])) !== 'again') return;
  resent += 1;
  await send(message);
};
let count = 0;
const say = () => {
  count += 1;
  return send(new TextMessage(`${count}`));
};

for (const broken of [[receiver], [sender], [sender, receiver], [receiver]]) {
  for (let i = 0; i < AT_LEAST; i += 1) await say();
  let away = broken.length;
  for (const client of broken) next(client, Event.RECONNECT).then(() => (away -= 1));
  const saying = say();
  for (const client of broken) assert.equal(await cut(client === sender ? 'sender' : 'receiver'), 1);
  await saying;
  while (away) await say();
}
for (let i = 0; i < AT_LEAST; i += 1) await say();
await eventually(() => shown.size >= count, 'all have come');

const all = Array.from({ length: count }, (_, i) => `${i + 1}`);
assert.deepEqual(texts([...shown.values()]), all);
assert.ok(fromHistory > 0);
ok(`${count} messages, all, once, in order; ${fromHistory} of them from history`);
const kept = [];
for (let page = null; !page || page.length; kept.push(...page)) {
  const from = page ? { startTime: page.at(-1).timestamp, startMessageId: page.at(-1).id } : {};
  page = await received.queryMessages({ direction: MessageQueryDirection.OLD_TO_NEW, limit: 100, ...from });
}
assert.deepEqual(texts(kept), all);
ok(`history has each once, though ${resent} were sent again`);
finish('The stream is whole.');

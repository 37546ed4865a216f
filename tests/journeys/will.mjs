// A will: the message that is sent when its author is gone without a word. Needs a proxy (`through`).

import { Event, another, assert, connect, cut, eventually, finish } from './journey.mjs';
import { next, ok, own, sdk, settled, texts, through } from './journey.mjs';

const { MessageStatus } = sdk;
const authorSdk = another();
const Tom = await connect(through('tom'), authorSdk).createIMClient(own('Tom'));
const Jerry = await connect().createIMClient(own('Jerry'));
const heard = [];
Jerry.on(Event.MESSAGE, (message) => heard.push(message.text));
const start = (name) => Tom.createConversation({ members: [Jerry.id], name, unique: false });
const [chat, other] = [await start('chat'), await start('other')];
const jerrys = await Jerry.getConversation(chat.id);
const bequeath = (conversation, text) => conversation.send(new authorSdk.TextMessage(text), { will: true });

const first = await bequeath(chat, 'I am off line');
assert.equal(first.status, authorSdk.MessageStatus.SENT);
await chat.send(new authorSdk.TextMessage('hello'));
await eventually(() => heard.length, 'the message comes');
assert.deepEqual(heard, ['hello']);
let [back, arrival] = [next(Tom, Event.RECONNECT), next(Jerry, Event.MESSAGE)];
assert.equal(await cut('tom'), 1);
const [message, conversation] = await arrival;
assert.deepEqual([message.text, message.id, message.from], ['I am off line', first.id, Tom.id]);
assert.deepEqual([conversation.id, message.status], [chat.id, MessageStatus.SENT]);
await back;
assert.deepEqual(texts(await jerrys.queryMessages()), ['hello']);
ok('a will is sent when the connection is lost, and is not in history');

back = next(Tom, Event.RECONNECT);
assert.equal(await cut('tom'), 1);
await back;
await chat.send(new authorSdk.TextMessage('back again'));
await eventually(() => heard.length === 3, 'the message comes');
assert.deepEqual(heard, ['hello', 'I am off line', 'back again']);
ok('once: who loses his connection again has no will left');

await bequeath(chat, 'older');
await bequeath(other, 'newer');
[back, arrival] = [next(Tom, Event.RECONNECT), next(Jerry, Event.MESSAGE)];
assert.equal(await cut('tom'), 1);
assert.deepEqual((await arrival).map((one) => one.text ?? one.id), ['newer', other.id]);
await back;
ok('the newest one counts, wherever it goes');

const otherSdk = another();
const atHand = await connect({}, otherSdk).createIMClient(Tom.id);
await bequeath(chat, 'never heard');
await Tom.close();
await eventually(async () => (await Jerry.ping([Tom.id])).length === 1, 'another device is there');
await (await atHand.getConversation(chat.id)).send(new otherSdk.TextMessage('bye'));
await eventually(() => heard.at(-1) === 'bye', 'the last message comes');
await settled(Jerry);
assert.deepEqual(heard, ['hello', 'I am off line', 'back again', 'newer', 'bye']);
assert.deepEqual(texts(await jerrys.queryMessages()), ['hello', 'back again', 'bye']);
ok('who signs out leaves no will');
finish('The last words were heard.');

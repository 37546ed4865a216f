// Every kind of message of the guide, with the plugin for typed messages: received, kept, found by type, last.

import { Event, another, assert, connect, eventually, finish, next, ok, own, require, sdk } from './journey.mjs';

const AV = require('leancloud-storage');
const initTypedMessages = require('leancloud-realtime-plugin-typed-messages');

// The storage SDK wants to be initialized; nothing here asks its server anything.
AV.init({ appId: process.env.IMCORE_APP_ID, appKey: process.env.IMCORE_APP_KEY, serverURL: process.env.IMCORE_URL });

// The message classes belong to one copy of the SDK each, and so does the class of one's own.
const classesOf = (of) => {
  class Order extends of.TypedMessage {
    constructor(number, price) {
      super();
      Object.assign(this, { number, price });
    }
  }
  of.messageType(1)(Order);
  of.messageField(['number', 'price'])(Order);
  return { ...initTypedMessages(AV, of), ...of, Order };
};
const connection = (classes, of) => {
  const made = connect({ plugins: classes.TypedMessagesPlugin }, of);
  made.register(classes.Order);
  return made;
};
const classes = classesOf(sdk);
const phoneSdk = another();
const phoneClasses = classesOf(phoneSdk);

const realtime = connection(classes, sdk);
const [tom, jerry] = [await realtime.createIMClient(own('Tom')), await realtime.createIMClient(own('Jerry'))];
const phone = await connection(phoneClasses, phoneSdk).createIMClient(tom.id);
const chat = await tom.createConversation({ members: [jerry.id], name: 'Everything' });
const jerrys = await jerry.getConversation(chat.id);

// A file elsewhere, by its URL. `save()` would give it an id; files.mjs does that.
const file = (name, metaData) => {
  const made = AV.File.withURL(name, `https://files.example/${name}`, metaData);
  made.id = `id-of-${name}`;
  return made;
};
const attributes = { location: '拉萨布达拉宫', seen: 3.5, tags: ['a', null, { b: true }] };
const { BinaryMessage, Message, Order, TextMessage } = classes;
const { AudioMessage, FileMessage, ImageMessage, LocationMessage, VideoMessage } = classes;
const sent = [
  new TextMessage('Jerry，起床了！👋').setAttributes(attributes),
  new ImageMessage(file('cat.png', { size: 12345, width: 640, height: 480, format: 'png' })).setText('萌妹子一枚'),
  new AudioMessage(file('song.mp3', { size: 54321, duration: 12.5, format: 'mp3' })).setAttributes(attributes),
  new VideoMessage(file('film.mp4', { size: 99999, duration: 60 })),
  new LocationMessage(new AV.GeoPoint(31.3753285, -120.9664658)).setText('蛋糕店的位置'),
  new FileMessage(file('avatar.pdf')),
  new Order(17, 9.99).setAttributes({ gift: false }),
  new BinaryMessage(Uint8Array.from({ length: 256 }, (_, i) => i).buffer),
  new Message('no JSON at all'),
];

// What an app sees of a message, whichever copy's class it is.
const seen = (message) => {
  const name = message.constructor.name;
  const rows = { name, type: message.type, text: message.text, attributes: message.attributes };
  if (message.getFile) {
    const it = message.getFile();
    Object.assign(rows, { id: it.id, url: it.url(), file: it.name(), metaData: it.metaData() });
  }
  if (message.getLocation) rows.location = [message.getLocation().latitude, message.getLocation().longitude];
  if (message.buffer) rows.bytes = [...new Uint8Array(message.buffer)];
  if (name === 'Order') Object.assign(rows, { number: message.number, price: message.price });
  if (name === 'Message') rows.content = message.content;
  return rows;
};
const envelope = ({ id, from, timestamp }) => ({ id, from, timestamp: timestamp.getTime() });

for (const message of sent) {
  const [toJerry, toPhone] = [next(jerry, Event.MESSAGE), next(phone, Event.MESSAGE)];
  await chat.send(message);
  for (const [received, conversation] of [await toJerry, await toPhone]) {
    assert.deepEqual(seen(received), seen(message));
    assert.deepEqual(envelope(received), envelope(message));
    assert.deepEqual([conversation.id, conversation.lastMessage], [chat.id, received]);
  }
  assert.equal(message.status, sdk.MessageStatus.SENT);
  // Who asks afresh sees the same as the last message.
  const found = await jerry.getQuery().withLastMessagesRefreshed().equalTo('objectId', chat.id).find();
  assert.deepEqual(seen(found[0].lastMessage), seen(message));
  assert.deepEqual(envelope(found[0].lastMessage), envelope(message));
  assert.deepEqual(found[0].lastMessageAt, message.timestamp);
}
ok('each kind arrives as what it is, at the other one and at my other device, and is the last message');
assert.deepEqual([jerrys.unreadMessagesCount, (await phone.getConversation(chat.id)).unreadMessagesCount], [9, 0]);
ok('what I send from one device is unread for him, and not on my other device');

const history = await jerrys.queryMessages();
assert.deepEqual(history.map(seen), sent.map(seen));
assert.deepEqual(history.map(envelope), sent.map(envelope));
ok('each kind is in history as what it is');

for (const message of sent.slice(0, 7)) {
  const found = await jerrys.queryMessages({ type: message.constructor.TYPE });
  assert.deepEqual(found.map(envelope), [message].map(envelope));
  assert.deepEqual(found.map(seen), [message].map(seen));
}
assert.deepEqual([TextMessage, ImageMessage, AudioMessage, VideoMessage].map((kind) => kind.TYPE), [-1, -2, -3, -4]);
assert.deepEqual([LocationMessage.TYPE, FileMessage.TYPE, Order.TYPE], [-5, -6, 1]);
for (let i = 0; i < 30; i += 1) await chat.send(i % 10 ? new TextMessage(`${i}`) : new ImageMessage(file(`${i}.png`)));
const pictures = { type: ImageMessage.TYPE, limit: 2 };
const newest = await jerrys.queryMessages(pictures);
const older = await jerrys.queryMessages({ ...pictures, startTime: newest[0].timestamp, startMessageId: newest[0].id });
const names = (messages) => messages.map((message) => message.getFile().name());
assert.deepEqual([names(newest), names(older)], [['10.png', '20.png'], ['cat.png', '0.png']]);
ok('the messages of one type, page by page');

await eventually(() => jerrys.unreadMessagesCount === 39, 'all have come');
finish('Every kind of message has been exchanged.');

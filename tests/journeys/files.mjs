// Files: leancloud-storage uploads them, as Node.js and as a mini program does, and messages carry them to others.
//
// IMCORE_MASTER_KEY: of the application.

import { Event, another, assert, connect, failure, finish, next, ok, own, require, sdk } from './journey.mjs';

const AV = require('leancloud-storage');
const initTypedMessages = require('leancloud-realtime-plugin-typed-messages');
const { IMCORE_APP_ID: appId, IMCORE_APP_KEY: appKey, IMCORE_MASTER_KEY: masterKey, IMCORE_URL: serverURL } = process.env;
AV.init({ appId, appKey, masterKey, serverURL });

const bytesAt = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());
const code = async (work) => (await failure(work)).code;
const pixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const ben = await new AV.User({ username: own('Ben'), password: 'cheese!' }).signUp();
const anna = await new AV.User({ username: own('Anna'), password: 'cheese!' }).signUp();

const cat = new AV.File('猫.png', pixel, 'image/png');
cat.metaData('width', 1);
await cat.save();
assert.match(cat.id, /^[0-9a-f]{24}$/);
assert.equal(cat.ownerId(), anna.id);
assert.deepEqual(await bytesAt(cat.url()), pixel);
const info = await (await fetch(`${cat.url()}?imageInfo`)).json();
assert.deepEqual(info, { format: 'png', width: 1, height: 1, size: pixel.length });
assert.equal((await fetch(cat.thumbnailURL(100, 100))).headers.get('content-type'), 'image/png');
ok('uploaded with one PUT, and downloaded');

const fetched = await AV.File.createWithoutData(cat.id).fetch();
assert.equal(fetched.url(), cat.url());
assert.equal(fetched.name(), '猫.png');
assert.equal(fetched.metaData('size'), pixel.length);
ok('fetched');

const text = new AV.File('note.txt', { base64: Buffer.from('meow').toString('base64') });
await text.save();
assert.equal(String(await bytesAt(text.url())), 'meow');
const large = Buffer.alloc(5_000_000, 'meow');
assert.deepEqual(await bytesAt((await new AV.File('large.bin', large).save()).url()), large);
ok('uploaded from base64, and in many blocks');

// As the SDK's adapter for WeChat does: the file first, and an answer that has to be JSON.
let forms = 0;
AV.setAdapters({
  platformInfo: { name: 'Weapp' },
  upload: async (url, file, { data }) => {
    forms += 1;
    const form = new FormData();
    form.append(file.field, new Blob([file.data]), file.name);
    for (const [name, value] of Object.entries(data)) form.append(name, value);
    const response = await fetch(url, { method: 'POST', body: form });
    return { status: response.status, ok: response.ok, data: JSON.parse(await response.text()) };
  },
});
const form = await new AV.File('form.png', pixel).save();
assert.deepEqual(await bytesAt(form.url()), pixel);
assert.equal(forms, 1);
AV.setAdapters({ platformInfo: { name: 'Node.js' } });
ok('uploaded with a form, as mini programs do');

const elsewhere = AV.File.withURL('dog.png', 'https://example.com/dog.png', { width: 3 });
await elsewhere.save();
assert.match(elsewhere.id, /^[0-9a-f]{24}$/);
assert.equal((await AV.File.createWithoutData(elsewhere.id).fetch()).url(), 'https://example.com/dog.png');
ok('registered an address elsewhere');

assert.equal(await code(new AV.File('../cat.png', pixel).save()), 122);
ok('a name that climbs is refused: 122');

const classes = initTypedMessages(AV, sdk);
const benSdk = another();
const bens = initTypedMessages(AV, benSdk);
const annas = await connect({ plugins: classes.TypedMessagesPlugin }).createIMClient(anna);
const phone = await connect({ plugins: bens.TypedMessagesPlugin }, benSdk).createIMClient(ben);
const chat = await annas.createConversation({ members: [ben.id], name: 'files' });
const arrival = next(phone, Event.MESSAGE);
await chat.send(new classes.ImageMessage(cat).setText('a cat'));
const [message] = await arrival;
assert.ok(message instanceof bens.ImageMessage);
assert.equal(message.text, 'a cat');
assert.equal(message.getFile().id, cat.id);
assert.equal(message.getFile().name(), '猫.png');
assert.deepEqual(await bytesAt(message.getFile().url()), pixel);
ok('sent as a message, which the other side opens');

await AV.User.become(ben.getSessionToken());
assert.equal(await code(cat.destroy()), 403);
await AV.User.become(anna.getSessionToken());
await cat.destroy();
assert.equal((await fetch(cat.url())).status, 404);
ok('deleted by who made it, and by nobody else');
finish('Sent a cat.');

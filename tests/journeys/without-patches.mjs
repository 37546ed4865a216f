// An application where nobody edits or recalls, which is the default.

import { assert, connect, failure, finish, ok, own, sdk, texts } from './journey.mjs';

const { TextMessage } = sdk;
const Tom = await connect().createIMClient(own('Tom'));
const chat = await Tom.createConversation({ members: [own('Jerry')] });
const message = await chat.send(new TextMessage('carved in stone'));

assert.equal((await failure(chat.update(message, new TextMessage('in sand')))).code, 4406);
assert.equal((await failure(chat.recall(message))).code, 4407);
const kept = await chat.queryMessages();
assert.deepEqual([texts(kept), kept[0].updatedAt], [['carved in stone'], kept[0].timestamp]);
ok('editing: 4406; recalling: 4407; the message stays');
finish('What is written is written.');

// Two people chat through imcore, with the published LeanCloud SDK as it is.
//
//   make run                                      in the folder above, in another terminal
//   cd examples && npm ci
//   node two-clients.mjs APP_ID APP_KEY           as `make run` printed them
//
// Instead of the two arguments, IMCORE_APP_ID and IMCORE_APP_KEY may be set.
// IMCORE_URL   where the server is: http://127.0.0.1:8000 unless set
// NO_BINARY=1  base64 text frames, as some mini programs need them
// RTM_SERVER   a WebSocket URL to use instead of asking the server for it: SDK 4.x asks over TLS only
// SDK          the package to use: leancloud-realtime unless set

const sdkName = process.env.SDK || 'leancloud-realtime';
const { Realtime, TextMessage, Event } = (
  await import(sdkName).catch((error) => {
    console.error(`${error.message}\nInstall it here first: cd examples && npm ci`);
    process.exit(2);
  })
).default;

const url = process.env.IMCORE_URL || 'http://127.0.0.1:8000';
const [appId = process.env.IMCORE_APP_ID, appKey = process.env.IMCORE_APP_KEY] = process.argv.slice(2);
if (!appId || !appKey) {
  console.error('Say which application: node two-clients.mjs APP_ID APP_KEY, as `make run` printed them.');
  process.exit(2);
}

// One connection carries them all, as in an app with several accounts; the server keeps them apart.
const realtime = new Realtime({
  appId,
  appKey,
  noBinary: process.env.NO_BINARY === '1',
  server: url,
  ...(process.env.RTM_SERVER ? { RTMServers: process.env.RTM_SERVER } : {}),
});

const once = (emitter, event) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${event} did not come within 10 s`)), 10_000);
    emitter.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });

const check = (condition, what) => {
  if (!condition) throw new Error(`Not so: ${what}`);
  console.log(`  ok  ${what}`);
};

const suffix = Math.random().toString(36).slice(2, 8);
const [tomId, jerryId] = [`Tom-${suffix}`, `Jerry-${suffix}`];

const tom = await realtime.createIMClient(tomId).catch((error) => {
  console.error(`Tom cannot sign in at ${process.env.RTM_SERVER ?? url}: ${error.message}`);
  process.exit(1);
});
const jerry = await realtime.createIMClient(jerryId);
check(tom.id === tomId && jerry.id === jerryId, 'Tom and Jerry are signed in');

const invited = once(jerry, Event.INVITED);
const tomsChat = await tom.createConversation({ members: [jerryId], name: 'Tom & Jerry', unique: true });
const [{ invitedBy }, jerrysChat] = await invited;
check(invitedBy === tomId && jerrysChat.id === tomsChat.id, `Jerry was invited to ${tomsChat.id} by Tom`);

const atJerry = once(jerry, Event.MESSAGE);
const sent = await tomsChat.send(new TextMessage('Hello, Jerry!'));
const [received] = await atJerry;
check(received.text === 'Hello, Jerry!' && received.id === sent.id && received.from === tomId, 'Jerry got the message');

const atTom = once(tom, Event.MESSAGE);
await jerrysChat.send(new TextMessage('Hi, Tom!'));
const [reply] = await atTom;
check(reply.text === 'Hi, Tom!' && reply.from === jerryId, 'Tom got the reply');

// Somebody who comes later reads it all.
const spike = await realtime.createIMClient(`Spike-${suffix}`);
const joined = await spike.getConversation(tomsChat.id);
await joined.join();
const history = await joined.queryMessages({ limit: 10 });
check(
  history.map((message) => message.text).join('|') === 'Hello, Jerry!|Hi, Tom!',
  'Spike joined later and reads both messages, in order',
);
await joined.quit();

await Promise.all([tom.close(), jerry.close(), spike.close()]);
const tomAgain = await realtime.createIMClient(tomId);
const found = await tomAgain.createConversation({ members: [jerryId], name: 'Tom & Jerry', unique: true });
check(found.id === tomsChat.id, 'Tom closed, came back, and found the same conversation');
const last = await found.queryMessages({ limit: 1 });
check(last.length === 1 && last[0].text === 'Hi, Tom!', 'and what was said last');
await tomAgain.close();

console.log('Tom and Jerry have chatted.');
process.exit(0);

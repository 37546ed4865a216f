// What the journeys share: the SDK under test, the server, and waiting without luck.
//
// SDK: leancloud-realtime (5) or leancloud-realtime-4, from tests/sdk. IMCORE_URL, RTM_SERVER, NO_BINARY, IMCORE_APP_ID,
// IMCORE_APP_KEY: as in examples/two-clients.mjs. The test that runs a journey does what `ask` asks of it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

export const require = createRequire(new URL('../sdk/package.json', import.meta.url));

export { assert };
const name = process.env.SDK || 'leancloud-realtime';
export const sdk = require(name);
export const { Event } = sdk;
export const isVersion4 = process.env.SDK === 'leancloud-realtime-4';
const SECONDS = 40;

// The SDK once more, as another device has it: version 5 allows one connection per app. Its classes are its own.
export const another = (of = name) => {
  const folder = `/node_modules/${of}/`;
  const before = Object.keys(require.cache).filter((file) => file.includes(folder));
  for (const file of before) delete require.cache[file];
  return require(of);
};

// A connection of the SDK, or of another one.
export const connect = (options = {}, of = sdk) =>
  new of.Realtime({
    appId: process.env.IMCORE_APP_ID,
    appKey: process.env.IMCORE_APP_KEY,
    noBinary: process.env.NO_BINARY === '1',
    server: process.env.IMCORE_URL,
    ...(process.env.RTM_SERVER ? { RTMServers: process.env.RTM_SERVER } : {}),
    ...options,
  });

// Options of `connect` for a connection through the test's proxy (PROXY), which `await cut(name)` breaks.
export const through = (name) => ({ RTMServers: `ws://${process.env.PROXY}/${name}` });
const tellProxy = async (what) => (await (await fetch(`http://${process.env.PROXY}/.${what}`)).json()).count;
// Break the connections of that name and return how many these were.
export const cut = (name) => tellProxy(`cut/${name}`);
// Let nothing more through of what is sent on them, and return how many these were.
export const mute = (name) => tellProxy(`mute/${name}`);

// What the server answers the application's back end (IMCORE_MASTER_KEY) below /1.2/rtm; it must be a success. API_URL:
// the server's address, where the SDK is given another.
export const backEnd = async (method, path, body) => {
  const { API_URL, IMCORE_URL, IMCORE_APP_ID, IMCORE_MASTER_KEY } = process.env;
  const answer = await fetch(`${API_URL || IMCORE_URL}/1.2/rtm/${path}`, {
    method,
    headers: {
      'X-LC-Id': IMCORE_APP_ID,
      'X-LC-Key': `${IMCORE_MASTER_KEY},master`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(said));
  return said;
};

const run = Math.random().toString(36).slice(2, 10);
// A client id, or a name, that no other run uses.
export const own = (name) => `${name}-${run}`;

// The arguments of the next `event` for which `fits` holds. Call it before what causes the event.
export const next = (emitter, event, fits = () => true) =>
  new Promise((resolve, reject) => {
    const listen = (...args) => {
      if (!fits(...args)) return;
      clearTimeout(timer);
      emitter.off(event, listen);
      resolve(args);
    };
    const timer = setTimeout(() => reject(new Error(`${event} did not come within ${SECONDS} s`)), SECONDS * 1000);
    emitter.on(event, listen);
  });

// The message with this text, when it comes to a client; others may still be on their way to him.
export const arrival = async (client, text) => {
  const [message] = await next(client, Event.MESSAGE, (received) => received.text === text);
  return message;
};

// What `attempt` returns or resolves to, once that is neither false nor an error.
export const eventually = async (attempt, what) => {
  const deadline = Date.now() + SECONDS * 1000;
  for (;;) {
    let last;
    try {
      const result = await attempt();
      if (result) return result;
      last = result;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${SECONDS} s: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

// Wait until each of these clients has what was sent to it: a reply comes after every notice that was caused before it.
// The SDK may still have to look something up for one.
export const settled = (...clients) => Promise.all(clients.map((client) => client.ping([client.id])));

const NOTICES = [
  ...['INVITED', 'KICKED', 'MEMBERS_JOINED', 'MEMBERS_LEFT', 'BLOCKED', 'UNBLOCKED', 'MEMBERS_BLOCKED'],
  ...['MEMBERS_UNBLOCKED', 'MUTED', 'UNMUTED', 'MEMBERS_MUTED', 'MEMBERS_UNMUTED', 'MEMBER_INFO_UPDATED'],
  'CONVERSATION_INFO_UPDATED',
];
const short = (id) => id.replace(`-${run}`, '');
const detail = ({ members, memberInfo, attributes }) => {
  if (members) return `: ${members.map(short).sort().join(' ')}`;
  if (memberInfo) return `: ${short(memberInfo.memberId)} ${memberInfo.role}`;
  return attributes ? `: ${JSON.stringify(attributes)}` : '';
};
const byClient = (rows) => {
  const who = (row) => row.slice(0, row.search(/ [A-Z_]+ by /));
  const sorted = [...rows].sort((one, other) => (who(one) < who(other) ? -1 : Number(who(one) > who(other))));
  // The SDK looks a conversation up which it does not have yet. If it has it when the second frame comes, it tells that
  // one first.
  const overtaken = /^(.*) (MEMBERS_JOINED by ([^:\n]*):.*)\n\1 (INVITED by \3)$/gm;
  return sorted.join('\n').replace(overtaken, '$1 $4\n$1 $2').split('\n');
};

// Who hears what while something is done. Each notice that one of `clients` (by name) hears is a row such as
// `Ben MEMBERS_LEFT by Anna: Carl`; `await hears(action, rows)` holds if exactly these come, in order for each client.
// With `places` it is `Ben in team MEMBERS_LEFT …`, in order for each client and conversation: the SDK itself changes the
// order between conversations when it has to look one up.
export const witness = (clients, { places = false } = {}) => {
  let heard = [];
  for (const [who, client] of Object.entries(clients)) {
    for (const event of NOTICES) {
      client.on(Event[event], (payload, conversation) => {
        const place = places ? ` in ${conversation.name}` : '';
        const by = Object.entries(payload).find(([key]) => key.endsWith('By'))[1];
        heard.push(`${who}${place} ${event} by ${short(by)}${detail(payload)}`);
      });
    }
  }
  const settle = () => settled(...Object.values(clients));
  return async (action, expected) => {
    await settle();
    heard = [];
    const result = await action();
    await settle();
    await eventually(() => heard.length >= expected.length, 'as many notices as expected').catch(() => {});
    assert.deepEqual(byClient(heard), byClient(expected));
    return result;
  };
};

// The rows of a conversation that has begun: every client of its members hears this.
export const begun = (hearers, by, members) =>
  hearers.flatMap((who) => [`${who} INVITED by ${by}`, `${who} MEMBERS_JOINED by ${by}: ${members}`]);

// The code and the message of the error that `work` fails with.
export const failure = async (work) => {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'this should have been refused' });
};

// Of an operation on several clients: who was done, and the code for each who was not.
export const outcome = ({ successfulClientIds, failures }) => ({
  done: [...successfulClientIds].sort(),
  refused: Object.fromEntries(failures.flatMap(({ code, clientIds }) => clientIds.map((id) => [id, code]))),
});

export const ok = (what) => console.log(`  ok  ${what}`);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
// Ask the test for something only it can do (restart the server, …) and wait until it is done.
export const ask = async (what) => {
  console.log(`ASK ${what}`);
  const { value } = await lines.next();
  assert.equal(value, 'done');
};

export const texts = (messages) => messages.map((message) => message.text ?? message.getText?.());

// Ends the process, since clients that are still signed in would keep it alive.
export const finish = (what) => {
  console.log(what);
  process.exit(0);
};

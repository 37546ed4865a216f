// What the journeys share: the SDK under test, the server, and waiting without luck.
//
// SDK: leancloud-realtime (5) or leancloud-realtime-4, from tests/sdk. IMCORE_URL, RTM_SERVER, NO_BINARY, IMCORE_APP_ID,
// IMCORE_APP_KEY: as in examples/two-clients.mjs. The test that runs a journey does what `ask` asks of it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../sdk/package.json', import.meta.url));

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

// The code and the message of the error that `work` fails with.
export const failure = async (work) => {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'this should have been refused' });
};

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

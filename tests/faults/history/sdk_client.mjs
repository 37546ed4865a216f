// People who chat through the unmodified SDK and write down what they send and see: facts.py says what, a line each.
//
//   node sdk_client.mjs CONFIGURATION
//
// CONFIGURATION is JSON: sdk (the package), app (id, key), server and RTMServers (as the SDK takes
// them), inFlight, padding (characters), seed, end (how the last message of a conversation begins), seconds (how long to wait for it),
// people: [{ id, messages (how many to send), conversations: [ids] }].
//
// They do what an app has to do with this SDK, and no more: on RECONNECT they send again what was not acknowledged, and
// read history from the last message they saw; on RECONNECT_ERROR they connect anew. Lines on stdin tell them what an
// app would be told by the system or by its user:
//
//   talk              begin to send
//   network           the network has changed: the SDK's pause() and resume()
//   finish            wait for the last message of each conversation, and end

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const setup = JSON.parse(process.argv[2]);
const require = createRequire(new URL('../../sdk/package.json', import.meta.url));
const { Event, MessageQueryDirection, Realtime, TextMessage } = require(setup.sdk);

const PAGE = 100;
// Of the messages that are pushed, after so many the conversation is read.
const READ_SHARE = 0.03;
const PATIENCE_MS = 200;
// The SDK doubles the time between its attempts up to five minutes; an app may call retry() meanwhile.
const RETRY_MS = 1000;

const say = (kind, client, fields = {}) => console.log(JSON.stringify({ kind, client, ...fields }));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Padding is written down as its length.
const short = (text) => text.replace(/\.+$/, (padding) => `+${padding.length}`);
const bodyOf = (message) => short((message.getText ? message.getText() : message.text) ?? `not a text: ${typeof message}`);
const described = (message) => ({
  conversation: message.cid,
  body: bodyOf(message),
  message: message.id,
  at: message.timestamp.getTime(),
  sender: message.from,
});

// mulberry32: small, and the same numbers for the same seed.
let state = setup.seed >>> 0;
const random = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

const realtime = new Realtime({
  appId: setup.app.id,
  appKey: setup.app.key,
  server: setup.server,
  RTMServers: setup.RTMServers,
});
let isConnected = true;
realtime.on(Event.DISCONNECT, () => (isConnected = false));
realtime.on(Event.RECONNECT, () => (isConnected = true));
realtime.on(Event.SCHEDULE, (attempt, delay) => {
  if (delay <= RETRY_MS) return;
  setTimeout(() => {
    try {
      realtime.retry();
    } catch {
      // It is connected, or connecting, already.
    }
  }, RETRY_MS);
});
const changeNetwork = () => {
  if (!isConnected) return; // the SDK is at it
  realtime.pause();
  realtime.resume();
};

// What somebody knows of a conversation: all up to `seen`, and while he is catching up, later ones as well.
class Place {
  constructor(conversation) {
    this.conversation = conversation;
    this.seen = null;
    this.newest = null;
    this.isBehind = true;
    this.hasEnded = false;
    this.end = null; // the last message
    this.before = null; // what the SDK had as the last one when all was read
  }

  // The SDK raises no event for a count that it has already, but it takes the last message from whatever tells counts.
  isRead() {
    const { lastMessage, unreadMessagesCount } = this.conversation;
    return lastMessage !== this.before && lastMessage.id === this.end.id && unreadMessagesCount === 0;
  }

  take(message) {
    if (!bodyOf(message).startsWith(setup.end)) return;
    this.hasEnded = true;
    this.end = message;
  }

  lose() {
    this.isBehind = true;
    this.newest = null;
  }

  hear(message) {
    if (this.isBehind) this.newest = message;
    else this.seen = message;
    this.take(message);
  }

  read(message) {
    this.seen = message;
    this.take(message);
  }

  catchUp() {
    this.isBehind = false;
    if (this.newest && !(this.seen && this.seen.timestamp > this.newest.timestamp)) this.seen = this.newest;
  }
}

class Person {
  constructor({ id, messages, conversations }) {
    Object.assign(this, { id, messages, conversations, left: 0, count: 0 });
    this.unacknowledged = new Map(); // body → what is on its way, in the order of sending
    this.isUp = false;
    this.connection = 0; // counts them
    this.isDrained = false;
  }

  async signIn() {
    const client = await realtime.createIMClient(this.id);
    this.client = client;
    this.places = new Map();
    for (const id of this.conversations) this.places.set(id, new Place(await client.getConversation(id)));
    client.on(Event.MESSAGE, (message, conversation) => {
      say('live', this.id, described(message));
      this.places.get(conversation.id).hear(message);
      if (random() < READ_SHARE) conversation.read();
    });
    client.on(Event.UNREAD_MESSAGES_COUNT_UPDATE, (conversations) => {
      for (const { id: conversation, unreadMessagesCount } of conversations) {
        say('unread', this.id, { conversation, count: unreadMessagesCount });
      }
    });
    client.on(Event.DISCONNECT, () => this.goDown());
    client.on(Event.RECONNECT, () => this.comeUp());
    client.on(Event.RECONNECT_ERROR, (error) => {
      say('note', this.id, { why: `RECONNECT_ERROR ${error.code ?? ''} ${error.message}` });
      // Or a log-in on an earlier connection has timed out.
      setTimeout(() => this.isUp || changeNetwork(), PATIENCE_MS);
    });
    this.comeUp();
  }

  talk() {
    this.left = this.messages;
    this.send();
  }

  goDown() {
    if (!this.isUp) return;
    this.isUp = false;
    this.connection += 1;
    say('down', this.id);
    for (const place of this.places.values()) place.lose();
  }

  comeUp() {
    this.isUp = true;
    this.connection += 1;
    say('up', this.id);
    for (const entry of this.unacknowledged.values()) this.transmit(entry);
    this.send();
    this.catchUp(this.connection);
  }

  async catchUp(connection) {
    for (const place of this.places.values()) {
      if (!(await this.readOn(connection, 'history', place))) return;
      place.catchUp();
    }
  }

  // Reads a conversation from what is seen of it to its end, unless the connection changes.
  async readOn(connection, kind, place) {
    // SDK 5 sends no query that equals one which is waiting for its answer, though it was sent on a lost connection.
    const limit = PAGE - (connection % 20);
    for (;;) {
      const from = place.seen && { startTime: place.seen.timestamp, startMessageId: place.seen.id };
      let page;
      try {
        page = await place.conversation.queryMessages({ ...from, limit, direction: MessageQueryDirection.OLD_TO_NEW });
      } catch (error) {
        if (connection === this.connection) say('note', this.id, { why: `queryMessages: ${error.message}` });
        await pause(PATIENCE_MS);
      }
      if (connection !== this.connection) return false;
      if (!page) continue;
      for (const message of page) {
        say(kind, this.id, described(message));
        place.read(message);
      }
      if (page.length < limit) return true;
    }
  }

  send() {
    while (this.isUp && this.left > 0 && this.unacknowledged.size < setup.inFlight) {
      this.left -= 1;
      this.count += 1;
      const text = `${this.id} ${this.count}${'.'.repeat(setup.padding)}`;
      const body = short(text);
      const place = [...this.places.values()][Math.floor(random() * this.places.size)];
      const entry = { place, body, message: new TextMessage(text), tries: 0 };
      this.unacknowledged.set(body, entry);
      this.transmit(entry);
    }
    if (!this.isDrained && this.count === this.messages && this.unacknowledged.size === 0) {
      this.isDrained = true;
      say('drained', this.id);
    }
  }

  // The message object itself carries the deduplication token: it is its `id` until the server gives it another.
  transmit(entry) {
    entry.tries += 1;
    const { tries, body } = entry;
    const conversation = entry.place.conversation.id;
    say('sent', this.id, { conversation, body });
    entry.place.conversation.send(entry.message).then(
      ({ id: message, timestamp }) => {
        say('acked', this.id, { conversation, body, message, at: timestamp.getTime() });
        if (this.unacknowledged.delete(body)) this.send();
      },
      (error) => {
        if (!this.unacknowledged.has(body) || tries !== entry.tries) return; // an earlier try has timed out
        say('failed', this.id, { conversation, body, why: `${error.code ?? ''} ${error.message}` });
        setTimeout(() => {
          if (this.isUp && this.unacknowledged.has(body) && tries === entry.tries) this.transmit(entry);
        }, PATIENCE_MS);
      },
    );
  }

  async finish() {
    const deadline = Date.now() + setup.seconds * 1000;
    const isDone = () => [...this.places.values()].every((place) => place.hasEnded && !place.isBehind);
    while (!isDone() && Date.now() < deadline) await pause(20);
    if (!isDone()) say('note', this.id, { why: 'the end did not come' });
    await this.readAll();
    say('finished', this.id);
  }

  async readAll() {
    const deadline = Date.now() + setup.seconds * 1000;
    const unsettled = [...this.places.values()].filter(({ end }) => end);
    for (const place of unsettled) {
      const { conversation, end } = place;
      say('read', this.id, { conversation: conversation.id, message: end.id, at: end.timestamp.getTime() });
      place.before = conversation.lastMessage;
      conversation.read();
    }
    while (unsettled.length > 0 && Date.now() < deadline) {
      await pause(20);
      for (const place of unsettled.filter((place) => place.isRead())) {
        say('settled', this.id, { conversation: place.conversation.id, message: place.end.id });
        unsettled.splice(unsettled.indexOf(place), 1);
      }
    }
    if (unsettled.length > 0) say('note', this.id, { why: 'a read mark was not confirmed' });
  }
}

// A browser would log it; what it means for the messages is for the checker to find out.
process.on('unhandledRejection', (error) => say('note', '', { why: `unhandled: ${error?.message ?? error}` }));

const people = setup.people.map((person) => new Person(person));
await Promise.all(people.map((person) => person.signIn()));
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'talk') for (const person of people) person.talk();
  if (line === 'network') changeNetwork();
  if (line === 'finish') {
    await Promise.all(people.map((person) => person.finish()));
    break;
  }
}
process.exit(0);

// Somebody says something to a system conversation. SYSTEM: its id; SAYS: what.

import { connect, finish, own, sdk } from './journey.mjs';

const sue = await connect().createIMClient(own('Sue'));
const service = await sue.getConversation(process.env.SYSTEM);
await service.send(new sdk.TextMessage(process.env.SAYS));
finish('Said.');

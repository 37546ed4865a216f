// A proxy in front of a server, as an operator's nginx would be: TLS ends here, and the server is told.
//
//   node proxy.mjs KEY CERTIFICATE PORT          PORT: the server's, on 127.0.0.1; KEY -: without TLS
//
// Prints its own port. GET /.requests answers how often the realtime router was asked through it; GET /.cut/PATH
// breaks the WebSockets that were opened with that path, and says how many: no end says goodbye. GET /.mute/PATH lets
// nothing more through from their clients, which still hear the server.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const [key, certificate, port] = process.argv.slice(2);
const isTls = key !== '-';
let route = 0;
const links = new Map(); // each WebSocket, and the path it was opened with
const actions = { '/.cut': (socket) => socket.destroy(), '/.mute': (socket) => socket.unpipe() };

const onward = (request) => ({
  host: '127.0.0.1',
  port,
  method: request.method,
  path: request.url,
  headers: { ...request.headers, 'x-forwarded-proto': isTls ? 'https' : 'http' },
});

const handler = (request, response) => {
  if (request.url === '/.requests') {
    response.end(JSON.stringify({ route }));
    return;
  }
  for (const [action, perform] of Object.entries(actions)) {
    if (request.url.startsWith(`${action}/`)) {
      const meant = [...links.keys()].filter((socket) => links.get(socket) === request.url.slice(action.length));
      meant.forEach(perform);
      response.end(JSON.stringify({ count: meant.length }));
      return;
    }
  }
  if (request.url.startsWith('/v1/route')) route += 1;
  const inner = http.request(onward(request), (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  inner.on('error', () => response.writeHead(502).end());
  request.pipe(inner);
};

const proxy = isTls
  ? https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, handler)
  : http.createServer(handler);

proxy.on('upgrade', (request, socket, head) => {
  const inner = http.request(onward(request));
  inner.on('upgrade', (answer, server, first) => {
    const headers = answer.rawHeaders.reduce((text, word, i) => text + (i % 2 ? `: ${word}\r\n` : word), '');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`);
    if (first.length) socket.write(first);
    if (head.length) server.write(head);
    server.pipe(socket).pipe(server);
    server.on('error', () => socket.destroy());
    socket.on('error', () => server.destroy());
    links.set(socket, request.url.split('?')[0]);
    socket.on('close', () => {
      links.delete(socket);
      server.destroy();
    });
  });
  inner.on('response', (answer) => socket.end(`HTTP/1.1 ${answer.statusCode} Refused\r\n\r\n`));
  inner.on('error', () => socket.destroy());
  inner.end();
});

proxy.listen(0, '127.0.0.1', () => console.log(proxy.address().port));

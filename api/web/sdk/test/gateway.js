import { webcrypto } from 'node:crypto';
import { createServer } from 'node:http';

// Node 18 keeps it to itself.
globalThis.crypto ??= /** @type {Crypto} */ (webcrypto);

/**
 * A gateway made of answers: each request takes the next one of its route, and the last one again and again.
 * @param {Record<string, ((request: any, response: any) => void)[]>} routes By `METHOD /path`.
 */
export async function serve(routes) {
  /** @type {{route: string, headers: any, body: string}[]} */
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const route = `${request.method} ${request.url}`;
    requests.push({ route, headers: request.headers, body });
    const answers = routes[route];
    if (!answers) return problem(404, 'not-found')(request, response);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    answer?.(request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${address.port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url, requests, close };
}

/** @param {unknown} body @param {number} [status] */
export const json = (body, status = 200) => (/** @type {any} */ _, /** @type {any} */ response) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

/** @param {number} status @param {string} kind @param {Record<string, string>} [headers] @param {object} [more] */
export const problem = (status, kind, headers = {}, more = {}) => (/** @type {any} */ _, /** @type {any} */ response) =>
  response
    .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
    .end(JSON.stringify({ type: `https://waitless.dev/problems/${kind}`, title: kind, status, detail: `it is ${kind}`, ...more }));

/** Breaks the connection off without an answer. */
export const hangUp = (/** @type {any} */ request) => request.socket.destroy();

/** @param {string[]} frames @param {boolean} [hold] Leaves the stream open. */
export const stream = (frames, hold = false) => (/** @type {any} */ _, /** @type {any} */ response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(frames.join(''));
  if (!hold) response.end();
};

/** @param {string} name @param {string | null} id @param {object} data */
export const frame = (name, id, data) =>
  `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify({ time: '2026-01-01T00:00:00Z', data })}\n\n`;

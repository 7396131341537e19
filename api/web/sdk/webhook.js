/**
 * What a webhook tells: a CloudEvent.
 * @typedef {{specversion: '1.0', id: string, source: string, type: string, subject: string, time: string, data: any}} WebhookEvent
 */

/** A request that nobody with one of the secrets has signed, or not lately. Answer it with 401. */
export class InvalidWebhook extends Error {
  name = 'InvalidWebhook';
}

/**
 * Checks that a request comes from Waitless, and returns what it tells. For servers: Node 20 or later, or anything with Web Crypto.
 * The same event may come again, under the same `webhook-id`: whoever has worked on that one already has nothing to do.
 * @param {string | Uint8Array} body As it came: parsed and written anew it is another one.
 * @param {Headers | Record<string, string | string[] | undefined>} headers
 * @param {string | string[]} secrets `whsec_…`, as in the configuration; several while one takes the place of another.
 * @param {{tolerance?: number, now?: number}} [options] How many seconds a request may be old, 300 when absent; the time, in seconds.
 * @returns {Promise<WebhookEvent>}
 * @throws {InvalidWebhook}
 */
export async function verifyWebhook(body, headers, secrets, { tolerance = 300, now = Date.now() / 1000 } = {}) {
  const id = read(headers, 'webhook-id');
  const timestamp = read(headers, 'webhook-timestamp');
  const signatures = read(headers, 'webhook-signature').split(' ').filter((one) => one.startsWith('v1,'));
  if (!id || !/^\d+$/.test(timestamp) || !signatures.length) throw new InvalidWebhook('it is not signed');
  if (Math.abs(now - Number(timestamp)) > tolerance) throw new InvalidWebhook('it was signed too long ago, or by a clock that is wrong');
  const text = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(head.length + text.length);
  signed.set(head);
  signed.set(text, head.length);
  for (const secret of [secrets].flat()) {
    const key = await crypto.subtle.importKey('raw', decode(secret.replace(/^whsec_/, '')), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
    for (const signature of signatures) {
      // Compares in a time that says nothing of where they differ.
      if (await crypto.subtle.verify('HMAC', key, decode(signature.slice(3)), signed)) {
        return JSON.parse(new TextDecoder().decode(text));
      }
    }
  }
  throw new InvalidWebhook('none of the secrets has signed it');
}

/** @param {Headers | Record<string, string | string[] | undefined>} headers @param {string} name */
function read(headers, name) {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  return typeof value === 'string' ? value : '';
}

/** @param {string} base64 */
function decode(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw new InvalidWebhook('a secret or a signature is not base64');
  }
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import './gateway.js';
import { InvalidWebhook, verifyWebhook } from '../webhook.js';

// The example of Standard Webhooks; the service's own signer is held against it too.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const other = 'whsec_c2VjcmV0cyBhcmUgcm90YXRlZCBub3cgYW5kIHRoZW4=';
const body = '{"test": 2432232314}';
const headers = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const now = 1614265400;

test('a signature is checked in every form in which a server may have it', async () => {
  for (const given of [headers, new Headers(headers)]) {
    for (const text of [body, new TextEncoder().encode(body)]) {
      assert.deepEqual(await verifyWebhook(text, given, secret, { now }), { test: 2432232314 });
    }
  }
  const rotated = { ...headers, 'webhook-signature': `v1,AAAA v2,x ${headers['webhook-signature']}` };
  assert.ok(await verifyWebhook(body, rotated, [other, secret], { now }));
});

test('whatever was not signed so, or not lately, is refused', async () => {
  for (const [text, given, by, at] of /** @type {[string, any, string, number][]} */ ([
    [`${body} `, headers, secret, now],
    [body, { ...headers, 'webhook-id': 'msg_other' }, secret, now],
    [body, { ...headers, 'webhook-timestamp': '1614265331' }, secret, now],
    [body, { ...headers, 'webhook-signature': 'v1,AAAA' }, secret, now],
    [body, { ...headers, 'webhook-signature': 'v1,%%%' }, secret, now],
    [body, { ...headers, 'webhook-signature': headers['webhook-signature'].slice(3) }, secret, now],
    [body, {}, secret, now],
    [body, headers, other, now],
    [body, headers, secret, now + 600],
    [body, headers, secret, now - 600],
  ])) {
    await assert.rejects(verifyWebhook(text, given, by, { now: at }), InvalidWebhook);
  }
});

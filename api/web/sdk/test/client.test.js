import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem, Unreachable, Waitless } from '../index.js';
import { frame, hangUp, json, problem, serve, stream } from './gateway.js';

const progress = { phase: 'reading', rows: 5, total_rows: 10, total_is_estimate: false, bytes: 50, percent: 50 };

/** @param {string} state @param {object} [more] */
const job = (state, more = {}) => ({ id: 'j1', state, attempt: 1, progress, artifacts: [], ...more });

/** @param {Parameters<typeof serve>[0]} routes @param {(gateway: any, waitless: Waitless) => Promise<void>} use */
async function against(routes, use) {
  const gateway = await serve(routes);
  try {
    await use(gateway, new Waitless({ url: `${gateway.url}/`, key: 'wl_test' }));
  } finally {
    gateway.close();
  }
}

test('a submit whose answer is lost is repeated under the same key', () =>
  against(
    { 'POST /v1/jobs': [hangUp, problem(503, 'unavailable'), problem(429, 'too-many-requests', { 'retry-after': '0' }), json(job('pending'), 202)] },
    async (gateway, waitless) => {
      assert.equal((await waitless.submit({ report: 'r', formats: ['csv'] })).id, 'j1');
      assert.equal(gateway.requests.length, 4);
      const keys = new Set(gateway.requests.map((/** @type {any} */ request) => request.headers['idempotency-key']));
      assert.equal(keys.size, 1);
      assert.match([...keys][0], /^[0-9a-f]{32}$/);
      assert.equal(gateway.requests[3].body, '{"report":"r","formats":["csv"]}');
      assert.equal(gateway.requests[3].headers.authorization, 'Bearer wl_test');
    },
  ));

test('a quick job is waited for, and one that has ended is not followed', () =>
  against(
    { 'POST /v1/jobs': [json(job('done'), 200), json(job('pending'), 202)] },
    async (gateway, waitless) => {
      assert.equal((await waitless.run({ report: 'r', reuse: { max_age: 60 } }, { wait: 9.5 })).state, 'done');
      assert.equal(gateway.requests[0].headers.prefer, 'wait=10');
      assert.equal(gateway.requests[0].body, '{"report":"r","reuse":{"max_age":60}}');
      assert.equal((await waitless.submit({ report: 'r' })).state, 'pending');
      assert.equal(gateway.requests[1].headers.prefer, undefined);
      assert.equal(gateway.requests.length, 2);
    },
  ));

test('a further format is asked for once, with a key', () =>
  against({ 'POST /v1/jobs/j1/formats': [hangUp, json(job('pending', { id: 'j2', made_from: 'j1' }), 202)] }, async (gateway, waitless) => {
    const further = await waitless.formats('j1', ['xlsx'], { notify: [{ channel: 'email', to: 'ana@example.com' }], wait: 2 });
    assert.deepEqual([further.id, further.made_from], ['j2', 'j1']);
    const keys = new Set(gateway.requests.map((/** @type {any} */ request) => request.headers['idempotency-key']));
    assert.deepEqual([gateway.requests.length, keys.size, gateway.requests[1].headers.prefer], [2, 1, 'wait=2']);
    assert.equal(gateway.requests[1].body, '{"formats":["xlsx"],"notify":[{"channel":"email","to":"ana@example.com"}]}');
    assert.equal((await waitless.formats('j1', ['pdf'])).id, 'j2');
    assert.equal(gateway.requests[2].body, '{"formats":["pdf"]}');
  }));

test('what is wrong is thrown at once, with its fields', () =>
  against(
    { 'POST /v1/jobs': [problem(422, 'validation-failed', {}, { errors: [{ pointer: '/params/day', detail: 'is required' }] })] },
    async (gateway, waitless) => {
      await assert.rejects(waitless.submit({ report: 'r' }), (error) => {
        assert(error instanceof Problem);
        assert.deepEqual([error.kind, error.status, error.errors[0].pointer], ['validation-failed', 422, '/params/day']);
        return true;
      });
      assert.equal(gateway.requests.length, 1);
    },
  ));

test('a cancel is sent once only', () =>
  against({ 'POST /v1/jobs/j1/cancel': [hangUp] }, async (gateway, waitless) => {
    await assert.rejects(waitless.cancel('j1'), Unreachable);
    assert.equal(gateway.requests.length, 1);
  }));

test('a key that is a function is asked before each request', () =>
  against({ 'GET /v1/reports': [json({ reports: [] })] }, async (gateway) => {
    let count = 0;
    const waitless = new Waitless({ url: gateway.url, key: async () => `wl_${++count}` });
    await waitless.reports();
    await waitless.reports();
    assert.deepEqual(gateway.requests.map((/** @type {any} */ r) => r.headers.authorization), ['Bearer wl_1', 'Bearer wl_2']);
  }));

test('a token is used until a tenth of its time is left, by all that ask at once, and anew when it is refused', () =>
  against({ 'GET /v1/reports': [json({ reports: [] }), json({ reports: [] }), json({ reports: [] }), problem(401, 'token-expired'), json({ reports: [] })] }, async (gateway) => {
    const sent = () => gateway.requests.splice(0).map((/** @type {any} */ r) => r.headers.authorization);
    let count = 0;
    let life = 60;
    const waitless = new Waitless({ url: gateway.url, key: async () => ({ token: `wt_${++count}`, expires_in: life }) });
    await Promise.all([waitless.reports(), waitless.reports()]);
    await waitless.reports();
    assert.deepEqual(sent(), ['Bearer wt_1', 'Bearer wt_1', 'Bearer wt_1']);
    life = 0;
    await waitless.reports();
    assert.deepEqual(sent(), ['Bearer wt_1', 'Bearer wt_2']);
    await waitless.reports();
    assert.deepEqual(sent(), ['Bearer wt_3']);
  }));

test('a backend that gives no token is asked again by the next request', () =>
  against({ 'GET /v1/reports': [json({ reports: [] })] }, async (gateway) => {
    let count = 0;
    const key = async () => {
      if (++count === 1) throw new Error('the backend is away');
      return { token: 'wt_1', expires_in: 60 };
    };
    const waitless = new Waitless({ url: gateway.url, key, patience: 0 });
    await assert.rejects(waitless.reports());
    await waitless.reports();
    assert.equal(gateway.requests.length, 1);
  }));

test('a page that is not the gateway is an error that says its status', () =>
  against({ 'GET /v1/reports': [(_, response) => response.writeHead(400).end('<h1>Proxy</h1>')] }, async (_, waitless) => {
    await assert.rejects(waitless.reports(), { status: 400, kind: 'unexpected-answer' });
  }));

test('a watcher comes back with the last id and misses nothing', () =>
  against(
    {
      'GET /v1/jobs/j1/events': [
        stream([frame('submitted', '1', {}), frame('started', '2', {}), 'id: 3\nevent: retry']),
        hangUp,
        problem(503, 'unavailable'),
        stream([frame('progress', null, { progress }), frame('done', '3', {})]),
      ],
    },
    async (gateway, waitless) => {
      const names = [];
      /** @type {string[]} */
      const connections = [];
      for await (const event of waitless.watch('j1', { onConnection: (state) => connections.push(state) })) names.push(event.name);
      assert.deepEqual(names, ['submitted', 'started', 'progress', 'done']);
      assert.deepEqual(gateway.requests.map((/** @type {any} */ r) => r.headers['last-event-id']), [undefined, '2', '2', '2']);
      assert.deepEqual(connections, ['open', 'lost', 'lost', 'lost', 'open']);
    },
  ));

test('a final event that a replay follows is not the end', () =>
  against(
    { 'GET /v1/jobs/j1/events': [stream([frame('failed', '3', {}), frame('replayed', '4', {})]), stream([frame('done', '6', {})])] },
    async (_, waitless) => {
      const names = [];
      for await (const event of waitless.watch('j1', { lastEventId: '2' })) names.push(event.name);
      assert.deepEqual(names, ['failed', 'replayed', 'done']);
    },
  ));

test('nothing more to come ends a watch', () =>
  against({ 'GET /v1/jobs/j1/events': [(_, response) => response.writeHead(204).end()] }, async (_, waitless) => {
    for await (const event of waitless.watch('j1', { lastEventId: '9' })) assert.fail(event.name);
  }));

test('a feed whose place is gone starts anew and says so', () =>
  against(
    { 'GET /v1/events': [problem(400, 'invalid-event-id'), stream(['id: n1\n\n', frame('done', 'n2', {})], true)] },
    async (gateway, waitless) => {
      let resets = 0;
      const positions = [];
      const feed = waitless.feed({ lastEventId: 'old', onReset: () => resets++, onPosition: (id) => positions.push(id) });
      const { value } = await feed.next();
      assert.equal(value?.name, 'done');
      await feed.return();
      assert.equal(resets, 1);
      assert.deepEqual(gateway.requests.map((/** @type {any} */ r) => r.headers['last-event-id']), ['old', undefined]);
    },
  ));

test('a key that does not open is an error, not a reason to come back', () =>
  against({ 'GET /v1/events': [problem(401, 'unauthorized')] }, async (_, waitless) => {
    await assert.rejects(waitless.feed().next(), { kind: 'unauthorized' });
  }));

test('an abort ends a watch without an error', () =>
  against({ 'GET /v1/events': [stream([frame('started', '1', {})], true)] }, async (_, waitless) => {
    const controller = new AbortController();
    const names = [];
    for await (const event of waitless.feed({ signal: controller.signal })) {
      names.push(event.name);
      controller.abort();
    }
    assert.deepEqual(names, ['started']);
  }));

test('following tells of the job and ends with it', () => {
  let now = job('processing');
  const routes = {
    'POST /v1/jobs': [json(job('pending', { attempt: 0 }), 202)],
    'GET /v1/jobs/j1': [(/** @type {any} */ request, /** @type {any} */ response) => json(now)(request, response)],
    'GET /v1/jobs/j1/events': [
      stream([frame('submitted', '1', {}), frame('started', '2', {})]),
      (/** @type {any} */ request, /** @type {any} */ response) => {
        now = job('done', { artifacts: [{ format: 'csv' }] });
        stream([frame('progress', null, { attempt: 1, progress: { ...progress, rows: 7 } }), frame('done', '3', {})])(request, response);
      },
    ],
  };
  return against(routes, async (_, waitless) => {
    /** @type {string[]} */
    const seen = [];
    const done = await waitless.run({ report: 'r' }, { onJob: (job) => seen.push(`${job.state} ${job.progress.rows}`) });
    assert.equal(done.artifacts[0].format, 'csv');
    assert.deepEqual(seen.filter((one, index) => one !== seen[index - 1]), ['pending 5', 'processing 5', 'processing 7', 'done 5']);
  });
});

/** Nobody waits longer than this between two tries, in milliseconds. */
const LONGEST = 15_000;

/**
 * How long to wait before a try: doubling, with jitter so that many clients do not come back at once.
 * @param {number} tries Tries that failed.
 * @param {number | null} [retryAfter] Seconds the gateway asked for.
 */
export function backoff(tries, retryAfter = null) {
  const wait = Math.min(LONGEST, 250 * 2 ** tries) * (0.5 + Math.random() / 2);
  return Math.max(wait, (retryAfter ?? 0) * 1000);
}

/**
 * Waits, but no longer than until the network is back or the page is looked at again.
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 */
export async function pause(ms, signal) {
  const over = new AbortController();
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    over.signal.addEventListener('abort', () => clearTimeout(timer));
    signal?.addEventListener('abort', resolve, { signal: over.signal });
    onWake(resolve, over.signal);
    if (signal?.aborted) resolve(null);
  });
  over.abort();
  signal?.throwIfAborted();
}

/**
 * Calls back when it is worth trying at once: the network is back, or somebody looks at the page again.
 * @param {(event: Event) => void} wake
 * @param {AbortSignal} signal Ends the listening.
 */
export function onWake(wake, signal) {
  const page = globalThis.document;
  globalThis.addEventListener?.('online', wake, { signal });
  page?.addEventListener?.('visibilitychange', (event) => page.visibilityState === 'visible' && wake(event), { signal });
}

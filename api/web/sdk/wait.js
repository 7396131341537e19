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
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stopListening = onWake(() => end(resolve));
    const timer = setTimeout(() => end(resolve), ms);
    const abort = () => end(() => reject(signal?.reason));
    signal?.addEventListener('abort', abort);
    /** @param {() => void} then */
    function end(then) {
      clearTimeout(timer);
      stopListening();
      signal?.removeEventListener('abort', abort);
      then();
    }
  });
}

/**
 * Calls back when it is worth trying at once: the network is back, or somebody looks at the page again.
 * @param {(event: Event) => void} wake
 */
export function onWake(wake) {
  const page = globalThis.document;
  if (!page?.addEventListener) return () => {};
  const look = (/** @type {Event} */ event) => {
    if (page.visibilityState === 'visible') wake(event);
  };
  globalThis.addEventListener('online', wake);
  page.addEventListener('visibilitychange', look);
  return () => {
    globalThis.removeEventListener('online', wake);
    page.removeEventListener('visibilitychange', look);
  };
}

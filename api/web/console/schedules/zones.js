/** Times that a clock on the wall shows, in a zone, and the moments they are. */

/**
 * What the clock of a zone shows: `2026-03-01T07:30`.
 * @param {string} time
 * @param {string} zone
 */
export function localOf(time, zone) {
  const options = /** @type {const} */ ({ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', timeZone: zone });
  return new Intl.DateTimeFormat('sv-SE', options).format(new Date(time)).replace(' ', 'T');
}

/**
 * The moment at which the clock of a zone shows this; what the clocks skip comes right after.
 * @param {string} local `2026-03-01T07:30`
 * @param {string} zone
 */
export function momentOf(local, zone) {
  const wanted = Date.parse(`${local}Z`);
  let moment = wanted;
  try {
    // The distance to Greenwich is that of the moment looked for, which is known once its distance is.
    for (let looks = 0; looks < 3; looks++) {
      const shown = Date.parse(`${localOf(new Date(moment).toISOString(), zone)}Z`);
      moment += wanted - shown;
      if (shown === wanted) break;
    }
  } catch {
    // No browser knows such a zone: the gateway says so.
  }
  return new Date(moment).toISOString().replace('.000Z', 'Z');
}

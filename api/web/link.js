/**
 * The page of a link whose report is being made again: says how far it is, and loads itself anew once there is something to see.
 * @typedef {{state: string, rows: number | null, percent: number | null}} Standing
 */
const bar = /** @type {HTMLElement} */ (document.querySelector('.progress'));
const words = /** @type {HTMLElement} */ (document.querySelector('[role=status]'));
const address = `${location.pathname.replace(/\/$/, '')}/status`;
const numbers = new Intl.NumberFormat('en');

/** @param {Standing} standing */
function show({ rows, percent }) {
  const fill = /** @type {HTMLElement} */ (bar.firstElementChild);
  bar.classList.toggle('known', percent !== null);
  if (percent === null) {
    bar.removeAttribute('aria-valuenow');
  } else {
    fill.style.inlineSize = `${percent}%`;
    bar.setAttribute('aria-valuenow', String(Math.round(percent)));
  }
  words.textContent = rows ? `${numbers.format(rows)} ${rows === 1 ? 'row' : 'rows'} so far` : 'Waiting for a worker';
}

let pause = 1000;
for (;;) {
  await new Promise((resolve) => setTimeout(resolve, pause));
  try {
    const answer = await fetch(address, { cache: 'no-store' });
    const standing = /** @type {Standing} */ (await answer.json());
    if (!answer.ok || standing.state !== 'making') break;
    pause = 1000;
    show(standing);
  } catch {
    // Out of reach for a while; it goes on without us.
    pause = Math.min(pause * 2, 15000);
    words.textContent = 'The service cannot be reached; trying again.';
  }
}
location.reload();

export {};

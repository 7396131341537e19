/**
 * The pages of a link. Times are written anew by the reader's clock; where a report is being made again, says how far it is, and
 * loads the page anew once there is something to see. What is said stands in the page, in its language.
 * @typedef {{state: string, rows: number | null, percent: number | null}} Standing
 */
const { lang } = document.documentElement;
const clock = new Intl.DateTimeFormat(lang, {
  day: 'numeric', month: 'long', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short',
});
for (const time of document.querySelectorAll('time')) time.textContent = clock.format(new Date(time.dateTime));

const bar = /** @type {HTMLElement | null} */ (document.querySelector('.progress'));
if (bar) await follow(bar, /** @type {HTMLElement} */ (document.querySelector('[role=status]')));

/** @param {HTMLElement} bar @param {HTMLElement} words */
async function follow(bar, words) {
  const address = `${location.pathname.replace(/\/$/, '')}/status`;
  const numbers = new Intl.NumberFormat(lang);
  const { row = '', rows: several = '', waiting = '', unreachable = '' } = words.dataset;

  /** @param {Standing} standing */
  const show = ({ rows, percent }) => {
    const fill = /** @type {HTMLElement} */ (bar.firstElementChild);
    bar.classList.toggle('known', percent !== null);
    if (percent === null) {
      bar.removeAttribute('aria-valuenow');
    } else {
      fill.style.inlineSize = `${percent}%`;
      bar.setAttribute('aria-valuenow', String(Math.round(percent)));
    }
    words.textContent = rows ? (rows === 1 ? row : several).replace('{n}', numbers.format(rows)) : waiting;
  };

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
      words.textContent = unreachable;
    }
  }
  location.reload();
}

export {};

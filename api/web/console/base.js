/** What stands before every path of this gateway: nothing, or `/reports` where a proxy serves it there. Scripts know it by their own address. */
export const BASE = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '');

/**
 * The path within the gateway, of an address of the browser.
 * @param {string} pathname
 */
export const inner = (pathname) => (pathname.startsWith(`${BASE}/`) ? pathname.slice(BASE.length) : '/');

// What the page loads and leads to is written relative to its own address, which changes when another page is shown.
for (const element of document.querySelectorAll('a, img, link')) {
  for (const name of ['href', 'src']) {
    const given = element.getAttribute(name);
    if (given !== null && !given.startsWith('#')) element.setAttribute(name, new URL(given, document.baseURI).href);
  }
}

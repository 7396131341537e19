/** @import { Context } from '../app.js' */
import { Problem } from '../../sdk/index.js';
import { BASE, inner } from '../base.js';
import { wrap } from '../form.js';
import { h } from '../dom.js';
import { explain } from '../notice.js';

/** Why somebody comes back from an identity provider without being signed in. @type {Record<string, string>} */
const FAILED = {
  denied: 'You were not signed in: the sign-in was refused or broken off.',
  expired: 'That sign-in took too long, or was begun in another browser. Try again.',
  refused: 'Your account is good, and may not use this service. Ask the people who run it for access.',
  unavailable: 'The sign-in does not answer at the moment. Try again in a while.',
  failed: 'Signing in did not work. Try again; if it happens again, tell the people who run this service.',
};

/**
 * Where somebody signs in: at an identity provider, with a key, or by the link that `waitless up` prints.
 * @param {Context} context
 */
export function login(context) {
  context.title('Sign in');
  const link = linkedFrom();
  // Signed in already: a link that was followed from a mail arrives without the cookie, and this page does not.
  if (link && context.session.signed_in) location.replace(link);
  const once = /^#once=(.+)$/.exec(location.hash)?.[1];
  // Neither the history nor a screenshot of the address bar shall hold it.
  if (once) history.replaceState(null, '', location.pathname + location.search);
  const input = h('input', { type: 'password', autocomplete: 'current-password', placeholder: 'wl_…', spellcheck: 'false', required: true });
  const field = wrap('key', { label: 'API key', hint: 'Your operator gives you one. On your own machine it is in data/api-key.', control: input });
  const providers = context.session.providers ?? [];
  const failed = FAILED[new URLSearchParams(location.search).get('failed') ?? ''];
  // One thing on a page is the one to do.
  const button = h(providers.length ? 'button.button' : 'button.button.primary', null, providers.length ? 'Sign in with the key' : 'Sign in');
  const form = h('form', { novalidate: true, 'aria-label': 'Sign in' },
    // Password managers want a name beside a password.
    h('input', { type: 'text', name: 'username', value: 'waitless', autocomplete: 'username', hidden: true, tabindex: -1 }),
    field.element, button);

  /** @param {{key: string} | {once: string}} body */
  const enter = async (body) => {
    button.disabled = true;
    try {
      const session = await signIn(body, context.signal);
      await context.signedIn(session);
      if (link) location.assign(link);
      else context.go(nextPath(), true);
    } catch (error) {
      if (context.signal.aborted) return;
      field.complain(explain(error).text);
      input.focus();
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (key) enter({ key });
    else {
      field.complain('Paste your API key.');
      input.focus();
    }
  });
  if (once) enter({ once });
  else if (!providers.length) setTimeout(() => input.focus());
  return h('section.enter', null, h('h1', null, 'Nobody waits here'),
    h('p.lead', null, 'Ask for a report, go on working, fetch the file when it is ready.'),
    failed && h('p.refusal', { role: 'alert' }, failed),
    providers.length > 0 && h('nav.providers', { 'aria-label': 'Sign in with an account' }, ...providers.map(atProvider)),
    providers.length > 0 && h('p.or', null, 'or with an API key'),
    form,
    h('p.quiet', null, 'The key stays out of this page: your browser gets a cookie that no script can read, and that ends with the key.'));
}

/** @param {{name: string, title: string}} provider */
function atProvider({ name, title }) {
  const next = linkedFrom() ? new URLSearchParams(location.search).get('next') : nextPath();
  return h('a.button.primary', { href: `/login/${encodeURIComponent(name)}?${new URLSearchParams({ next: next ?? '/' })}` }, `Sign in with ${title}`);
}

/** A link to a file that may be opened only by people who are signed in: no page of the console. */
function linkedFrom() {
  const next = new URLSearchParams(location.search).get('next') ?? '';
  return inner(location.pathname) === '/login' && /^\/d\/[\w-]+$/.test(next) ? BASE + next : undefined;
}

/** After signing in, people land where they wanted to go. */
function nextPath() {
  const path = inner(location.pathname);
  if (path !== '/login') return path + location.search;
  // Back from a provider: the page that was wanted in the first place.
  const next = new URLSearchParams(location.search).get('next') ?? '';
  return /^\/(?![/\\])/.test(next) && !next.startsWith('/d/') ? next : '/';
}

/**
 * @param {object} body
 * @param {AbortSignal} signal
 * @returns {Promise<import('../../sdk/shapes.js').Session>}
 */
async function signIn(body, signal) {
  let answer;
  try {
    answer = await fetch(`${BASE}/v1/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal });
  } catch {
    throw new Problem({ type: '/unreachable', title: 'The service cannot be reached', status: 0, detail: 'The service cannot be reached. Try again in a moment.' });
  }
  const said = await answer.json();
  if (!answer.ok) throw new Problem(said);
  return said;
}

/**
 * What a mail program shows of a mail: its sender, subject and HTML part.
 * @param {string} mail As it travels.
 */
export function readMail(mail) {
  const [head, body] = halves(mail);
  const boundary = /boundary="([^"]+)"/.exec(head)?.[1] ?? '';
  const html = body.split(`--${boundary}`).map(halves).find(([part]) => /content-type:\s*text\/html/i.test(part));
  if (!html) throw new Error(`no HTML in ${head}`);
  return { to: field(head, 'To'), subject: field(head, 'Subject'), html: decode(html[0], html[1]) };
}

/** @param {string} text @returns {[string, string]} Head and body. */
function halves(text) {
  const at = /\r?\n\r?\n/.exec(text);
  return at ? [text.slice(0, at.index).replace(/\r?\n[ \t]+/g, ' '), text.slice(at.index + at[0].length)] : [text, ''];
}

/** @param {string} head @param {string} name */
function field(head, name) {
  const value = new RegExp(`^${name}:\\s*(.*)$`, 'im').exec(head)?.[1] ?? '';
  return value.replace(/\?=\s+=\?/g, '?==?').replace(/=\?utf-8\?b\?([^?]*)\?=/gi, (_, text) => Buffer.from(text, 'base64').toString('utf8')).trim();
}

/** @param {string} head @param {string} body */
function decode(head, body) {
  if (/base64/i.test(head)) return Buffer.from(body, 'base64').toString('utf8');
  if (!/quoted-printable/i.test(head)) return body;
  const bytes = body.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)));
  // Each character is one byte now, or was never written otherwise.
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

// Serves Azure's blob protocol on a free port, from memory, with one empty container, and prints the port. Its arguments are the folder
// that azurite is installed in and the container's name. It ends with whoever started it: when standard input closes.
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** The account and key that every azurite has, and everybody knows. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

const [node, script, installed, container] = process.argv;
const print = console.log;
process.stdin.resume().on('end', () => process.exit());

// It says where it listens, and nothing else that matters here.
console.log = async (text) => {
  const port = /successfully listen\w* (?:at|on) http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
  if (!port) return;
  await makeContainer(port);
  print(port);
};
process.argv = [node, script, '--blobPort', '0', '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry', '--silent'];
createRequire(import.meta.url)(join(installed, 'node_modules/azurite/dist/src/blob/main.js'));

/** @param {string} port */
async function makeContainer(port) {
  const date = new Date().toUTCString();
  const version = '2023-11-03';
  const path = `/${ACCOUNT}/${container}`;
  const headers = `x-ms-date:${date}\nx-ms-version:${version}`;
  const text = `PUT\n\n\n\n\n\n\n\n\n\n\n\n${headers}\n/${ACCOUNT}${path}\nrestype:container`;
  const signed = createHmac('sha256', Buffer.from(KEY, 'base64')).update(text).digest('base64');
  const answer = await fetch(`http://127.0.0.1:${port}${path}?restype=container`, {
    method: 'PUT', headers: { 'x-ms-date': date, 'x-ms-version': version, authorization: `SharedKey ${ACCOUNT}:${signed}` },
  });
  if (!answer.ok) throw new Error(`the container could not be made: ${answer.status} ${await answer.text()}`);
}

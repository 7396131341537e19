// An identity provider on loopback: the package oidc-provider, from memory. Arguments: where it is installed, a port (0: any) and what is
// configured, as JSON. It says its port, and does what lines on its input say: `rotate` signs with a new key and goes on publishing the
// one before, and says `rotated`. It ends with its input.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [installed, port, settings] = process.argv.slice(2);
// `clients`: of the authorization code flow, as the package takes them. `people`: claims by name; whoever is not among them may sign in
// too. `programs`: claims of clients that fetch tokens for themselves. `audience`: of their tokens. `lasts`: seconds of every token.
const { clients = [], people = {}, programs = {}, audience = 'waitless', lasts = 3600 } = JSON.parse(settings ?? '{}');
const { Provider } = await import(pathToFileURL(createRequire(`${installed}/`).resolve('oidc-provider')).href);

// What it complains of is that it is not in production.
console.warn = () => {};
console.info = () => {};

let keys = [];

/** Signs with a new key from now on. */
function addKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  keys = [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }, ...keys.slice(0, 1)];
}

/** @param {string} issuer */
function provider(issuer) {
  const machines = Object.keys(programs).map((name) => ({
    client_id: name, client_secret: `${name}-secret`, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  }));
  const asked = { scope: '', audience, accessTokenFormat: 'jwt', accessTokenTTL: lasts, jwt: { sign: { alg: 'RS256' } } };
  const made = new Provider(issuer, {
    clients: [...clients, ...machines],
    jwks: { keys },
    cookies: { keys: ['of a test'] },
    claims: { openid: ['sub'], profile: ['name', 'groups', 'organisation', 'region'] },
    conformIdTokenClaims: false,
    ttl: { AccessToken: lasts, ClientCredentials: lasts, IdToken: lasts },
    findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name, name, ...people[name] }) }),
    extraTokenClaims: (_, token) => programs[token.clientId] ?? people[token.accountId],
    pkce: { required: () => true },
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:of:the:tests',
        useGrantedResource: () => true,
        getResourceServerInfo: () => asked,
      },
    },
  });
  // A gateway's port is known when it runs, and what it is configured with names this provider.
  made.Client.prototype.redirectUriAllowed = () => true;
  return made.callback();
}

addKey();
let answer = (request, response) => response.destroy();
const server = createServer((request, response) => answer(request, response));
server.listen(Number(port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  answer = provider(issuer);
  console.log(server.address().port);
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      if (line !== 'rotate') return;
      addKey();
      // What was begun goes on: the package keeps it in memory for all of them.
      answer = provider(issuer);
      console.log('rotated');
    })
    .on('close', () => process.exit());
});

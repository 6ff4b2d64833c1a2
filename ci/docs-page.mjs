// The docs page of a running service in Chromium (`ci/check-docs-page`): what must hold of it, and the
// faults that the checks must see. API, TOKEN and CHROMIUM come from the environment.
//
//   node ci/docs-page.mjs FOLDER_FOR_SCREENSHOTS
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { API, TOKEN, CHROMIUM } = process.env;
const folder = process.argv[2];
const PATIENCE = 60_000;

const DESKTOP = { name: 'desktop', viewport: { width: 1280, height: 800 } };
const PHONE = {
  name: 'phone', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true,
};

// A host outside, which counts who comes.
const visits = [];
const elsewhere = createServer((request, response) => {
  visits.push(request.url);
  response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end();
});
await new Promise((listening) => elsewhere.listen(0, '127.0.0.1', listening));
const ELSEWHERE = `http://127.0.0.1:${elsewhere.address().port}`;

const contract = await (await fetch(`${API}/openapi.json`)).json();
const operations = Object.values(contract.paths).flatMap((methods) => Object.values(methods))
  .filter(({ operationId }) => operationId);
const codes = contract.components.schemas.ProblemCode.enum;
const examples = contract.paths['/customers'].post.requestBody.content['application/json'].examples;
const full = contract.components.examples.CustomerCreateFull;

let spoilt = false;
// Pictures of the page as it is, not of one with a fault put in.
async function picture(page, of, device) {
  if (!spoilt) await page.screenshot({ path: join(folder, `${of}-${device.name}.png`) });
}

// Nothing is wider than the page: a phone would zoom out or scroll sideways.
async function fits(page, device) {
  const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, innerWidth));
  assert.ok(width <= device.viewport.width, `too wide: ${width} of ${device.viewport.width} pixels at ${page.url()}`);
}

// Presses as the device does. Playwright sees to it that nothing lies over the place.
async function press(control, device) {
  await control.scrollIntoViewIfNeeded();
  const { x, width } = await control.boundingBox();
  assert.ok(x >= 0 && x + width <= device.viewport.width, `out of reach: ${control}`);
  await (device.hasTouch ? control.tap() : control.click());
}

async function open(page, path) {
  const answer = await page.goto(API + path);
  assert.equal(answer.status(), 200, path);
}

async function pageShown(page, device) {
  await open(page, '/');
  await page.locator('.opblock').first().waitFor();
  assert.match(await page.locator('.info .title').innerText(), new RegExp(contract.info.title));
  const shown = await page.locator('.opblock').evaluateAll((blocks) => blocks.map(({ id }) => id).sort());
  const known = operations.map(({ operationId, tags }) => `operations-${tags[0]}-${operationId}`).sort();
  assert.deepEqual(shown, known, 'the operations on the page');
  await fits(page, device);
  await picture(page, 'docs', device);
}

// A request in the page's own name for each kind of thing; the policy refuses all of them.
async function policyHolds(page) {
  await open(page, '/docs');
  visits.length = 0;
  const refused = await page.evaluate(async (elsewhere) => {
    const refused = [];
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => refused.push(effectiveDirective));
    const settled = (element) => new Promise((done) => { element.onload = element.onerror = done; });
    const put = (tag, attributes) => {
      const element = Object.assign(document.createElement(tag), attributes);
      const end = settled(element);
      document.head.append(element);
      return end;
    };
    await Promise.allSettled([
      fetch(`${elsewhere}/fetch`),
      put('img', { src: `${elsewhere}/picture` }),
      put('script', { src: `${elsewhere}/script` }),
      put('link', { rel: 'stylesheet', href: `${elsewhere}/style` }),
    ]);
    return refused.sort();
  }, ELSEWHERE);
  const all = ['connect-src', 'img-src', 'script-src-elem', 'style-src-elem'];
  assert.deepEqual([refused, visits], [all, []], 'the policy let the page ask outside');
}

async function operation(page, id, device) {
  const block = page.locator(`.opblock[id$="-${id}"]`);
  await press(block.locator('.opblock-summary-control'), device);
  await block.locator('.execute').waitFor();
  return block;
}

// Sends what the fields hold, and gives the answer as the page shows it.
async function execute(page, block, device) {
  await press(block.locator('.execute'), device);
  const answer = block.locator('.live-responses-table tbody .response').first();
  await answer.waitFor();
  const status = await answer.locator('.response-col_status').innerText();
  const body = await answer.locator('.highlight-code code').first().innerText();
  return { status: status.trim().split(/\s/)[0], body: JSON.parse(body) };
}

async function customersCreated(page, device) {
  await open(page, '/docs');
  await press(page.locator('.auth-wrapper .authorize'), device);
  const form = page.locator('.modal-ux');
  await form.locator('input').fill(TOKEN);
  await fits(page, device);
  await press(form.getByRole('button', { name: 'Apply credentials' }), device);
  await press(form.getByRole('button', { name: 'Close' }), device);

  const block = await operation(page, 'createCustomer', device);
  // The page opens with the fields ready. Out of them, and in again.
  await press(block.getByRole('button', { name: 'Cancel' }), device);
  await press(block.getByRole('button', { name: 'Try it out' }), device);
  for (const [choice, { value }] of [['minimal', examples.minimal], ['full', full]]) {
    await block.locator('.examples-select-element').first().selectOption(choice);
    const field = block.locator('.body-param__text');
    await page.waitForFunction(
      ([text, value]) => JSON.stringify(JSON.parse(text.value)) === value,
      [await field.elementHandle(), JSON.stringify(value)],
    );
    const { status, body } = await execute(page, block, device);
    assert.equal(status, '201', `${choice}: ${JSON.stringify(body)}`);
    assert.equal(body.firstName, value.firstName);
    const read = await fetch(`${API}/customers/${body.id}`, { headers: { Authorization: `Bearer ${TOKEN}` } });
    assert.equal(read.status, 200, `${choice}: reading what the page created`);
    assert.deepEqual(await read.json(), body, choice);
    await fits(page, device);
    await block.locator('.live-responses-table').first().scrollIntoViewIfNeeded();
    await picture(page, `created-${choice}`, device);
    await press(block.locator('.btn-clear'), device);
  }

  // Another operation, sent as it stands: no field holds what spoils the request.
  const list = await execute(page, await operation(page, 'listCustomers', device), device);
  assert.equal(list.status, '200', JSON.stringify(list.body));
  assert.ok(list.body.data.length >= 2, 'the list shows what was created');
}

async function problemsExplained(page, device) {
  await open(page, '/docs/problems');
  await fits(page, device);
  const links = await page.locator('li a').evaluateAll((all) => all.map((link) => new URL(link.href).pathname));
  assert.deepEqual(links, codes.map((code) => `/docs/problems/${code}`), 'the problems in the list');
  for (const [index, path] of links.entries()) {
    await press(page.locator('li a').nth(index), device);
    await page.waitForURL(API + path);
    const [titles, headings] = [await page.locator('h1').allInnerTexts(), await page.locator('h2').allInnerTexts()];
    assert.ok(titles.length === 1 && titles[0].length > 3, `${path}: its title`);
    assert.deepEqual(headings, ['What it means', 'What to do'], path);
    for (const text of await page.locator('h2 + p').allInnerTexts()) {
      assert.ok(text.length > 10, `${path}: under its headings`);
    }
    assert.match(await page.locator('body').innerText(), new RegExp(`${codes[index]}, status [45]\\d\\d`), path);
    await fits(page, device);
    if (codes[index] === 'validation_failed') await picture(page, 'problem', device);
    await press(page.getByRole('link', { name: 'All problems' }), device);
    await page.waitForURL(`${API}/docs/problems`);
  }
  await press(page.getByRole('link', { name: 'The API' }), device);
  await page.locator('.opblock').first().waitFor();
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  headless: true,
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  ],
});

// Runs a check in a profile of its own. Gives what was wrong: what it said, and what the browser saw.
async function faults(check, device, spoil) {
  const { name: _, ...options } = device;
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  const seen = [];
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) seen.push(`console: ${message.text()}`);
  });
  context.on('weberror', (error) => seen.push(`script: ${error.error()}`));
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (origin !== API && protocol !== 'data:') seen.push(`asked outside: ${request.url()}`);
  });
  context.on('requestfailed', (request) => seen.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  context.on('response', (response) => {
    if (response.status() >= 400) seen.push(`answered ${response.status()}: ${response.url()}`);
  });
  try {
    await spoil?.(context);
    await check(await context.newPage(), device);
  } catch (error) {
    seen.push(`check: ${error.message}`);
  }
  await context.close();
  return seen;
}

// The answer to a path, changed on its way to the page.
const altered = (path, change) => (context) =>
  context.route((url) => url.pathname === path, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, ...change(await response.text(), response.headers()) });
  });
const inHead = (html) => (body) => ({ body: body.replace('</head>', `${html}</head>`) });
const withoutPolicy = (_, { 'content-security-policy': __, ...headers }) => ({ headers });
const unprotected = (html) => (body, headers) => ({ ...inHead(html)(body), ...withoutPolicy(body, headers) });

const SEEDED = [
  ['a style sheet from elsewhere, no policy', pageShown, DESKTOP, /^asked outside: /,
    altered('/', unprotected(`<link rel="stylesheet" href="${ELSEWHERE}/seeded">`))],
  ['a script from elsewhere, under the policy', pageShown, DESKTOP, /^console: .*Content Security Policy/,
    altered('/', inHead(`<script src="${ELSEWHERE}/seeded"></script>`))],
  ['no policy', policyHolds, DESKTOP, /the policy let the page ask outside/, altered('/docs', withoutPolicy)],
  ['a file of the page that is not there', pageShown, DESKTOP, /^failed: .*seeded\.css/,
    altered('/', inHead('<link rel="stylesheet" href="/docs/seeded.css">'))],
  ['a script that throws', pageShown, DESKTOP, /^script: /,
    altered('/docs/swagger-initializer.js', (body) => ({ body: `${body};throw new Error('seeded')` }))],
  ['an operation that is not in the document', pageShown, DESKTOP, /the operations on the page/,
    altered('/docs/openapi.json', (body) => {
      const { paths: { '/livez': _, ...paths }, ...rest } = JSON.parse(body);
      return { body: JSON.stringify({ ...rest, paths }) };
    })],
  ['a page without our style', customersCreated, PHONE, /too wide|out of reach/,
    altered('/docs', (body) => ({ body: body.replace(/<style>[^]*?<\/style>/, '') }))],
  ['the document with its examples filled in', customersCreated, DESKTOP, /full: .*idempotency_key_reused/,
    (context) => context.route('**/docs/openapi.json', (route) => route.fulfill({ json: contract }))],
  ['a service that fails', customersCreated, DESKTOP, /^answered 500: .*\/customers$/,
    (context) => context.route(`${API}/customers`, (route) => route.fulfill({ status: 500, json: { code: 'seeded' } }))],
  ['a customer that was not stored', customersCreated, DESKTOP, /reading what the page created/,
    (context) => context.route(`${API}/customers`, (route) => route.fulfill({
      status: 201, json: { ...examples.minimal.value, id: '00000000-0000-7000-8000-000000000000' },
    }))],
  ['a problem without a remedy', problemsExplained, PHONE, /under its headings/,
    altered(`/docs/problems/${codes[0]}`, (body) => ({ body: body.replace(/(What to do<\/h2><p>)[^<]*/, '$1') }))],
];

let wrong = 0;
const report = (good, text) => {
  wrong += good ? 0 : 1;
  (good ? console.log : console.error)(`${good ? 'ok   ' : 'WRONG'} ${text}`);
};
try {
  mkdirSync(folder, { recursive: true });
  await Promise.all([DESKTOP, PHONE].map(async (device) => {
    for (const check of [pageShown, customersCreated, problemsExplained]) {
      const found = await faults(check, device);
      report(found.length === 0, [`${check.name}, ${device.name}`, ...found].join('\n      '));
    }
  }));
  // What the policy refuses is told on the console, so here the visits alone count.
  const asked = (await faults(policyHolds, DESKTOP)).filter((fault) => fault.startsWith('check: '));
  report(asked.length === 0, ['policyHolds', ...asked].join('\n      '));
  const left = wrong ? [] : SEEDED;
  spoilt = true;
  await Promise.all([1, 2].map(async () => {
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      const [what, check, device, expected, spoil] = seed;
      const found = await faults(check, device, spoil);
      const bites = found.some((fault) => expected.test(fault));
      report(bites, [`seen: ${what}`, ...(bites ? [] : found)].join('\n      '));
    }
  }));
} finally {
  await browser.close();
  elsewhere.close();
}
process.exitCode = wrong ? 1 : 0;

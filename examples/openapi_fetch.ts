// A round trip through the service with openapi-fetch, by the types that openapi-typescript makes.
import { deepStrictEqual as equal } from 'node:assert';
import createClient from 'openapi-fetch';
import type { components, paths } from './sdk/schema.js';

type Schemas = components['schemas'];

const client = createClient<paths>({
  baseUrl: process.env.API,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
});

// Create. With a key of ours the request can be sent again if its answer gets lost.
const nadia: Schemas['CustomerCreate'] = {
  type: 'INDIVIDUAL', firstName: 'Nadia', middleName: 'Élise', lastName: 'Haddad',
  metadata: { crmId: '88-1204', branch: 'harbor' },
};
const header = { 'Idempotency-Key': crypto.randomUUID() };
const { data: created, error } = await client.POST('/customers', { params: { header }, body: nadia });
if (!created) throw new Error(error.detail);
equal((await client.POST('/customers', { params: { header }, body: nadia })).data, created);
const path = { id: created.id };

// Read. The entity tag names the version.
const read = await client.GET('/customers/{id}', { params: { path } });
const etag = read.response.headers.get('ETag');
equal([read.data, etag], [created, '"1"']);
const seen = { path, header: { 'If-Match': etag! } };

// Change what was read: null removes, what is left out stays.
const change = (params: { path: typeof path; header?: typeof seen.header }, body: Schemas['CustomerPatch']) =>
  client.PATCH('/customers/{id}', {
    params, body, headers: { 'Content-Type': 'application/merge-patch+json' },
  });
const { data: changed } = await change(seen, { middleName: null, metadata: { branch: null } });
equal(
  [changed?.firstName, changed?.middleName, changed?.metadata],
  ['Nadia', undefined, { crmId: '88-1204' }],
);

// The version that was read is an old one by now.
const { error: stale } = await change(seen, { firstName: 'Nadja' });
if (!stale || !('currentVersion' in stale)) throw new Error('a 412 names the current version');
equal([stale.code, stale.currentVersion], ['version_mismatch', 2]);

// All faults of a body at once.
const home: Schemas['AddressInput'] = {
  type: 'MAILING', streetLine1: '18 Harbor Street', cityName: 'Portland', countryCode: 'USA',
};
const { error: refused } = await change({ path }, { addresses: [home] });
if (!refused || !('errors' in refused)) throw new Error('a 422 names the faults');
const faults: Schemas['FieldError'][] = refused.errors ?? [];
equal(faults.map(({ pointer, code }) => [pointer, code]), [
  ['/addresses/0/stateCode', 'state_required'],
  ['/addresses', 'primary_missing'],
]);
equal(faults[0]?.detail, 'is required for an address in United States of America');

// List, page by page.
const newer: (string | undefined)[] = [];
for (const _ of Array(4)) newer.push((await client.POST('/customers', { body: nadia })).data?.id);
const pages: string[][] = [];
let cursor: string | undefined;
do {
  const query = { createdAfter: created.createdAt, sort: 'createdAt', limit: 2, cursor } as const;
  const { data: page } = await client.GET('/customers', { params: { query } });
  if (!page) throw new Error('no page');
  pages.push(page.data.map(({ id }) => id));
  cursor = page.nextCursor;
} while (cursor !== undefined);
equal(pages, [newer.slice(0, 2), newer.slice(2)]);
console.log('created, read, changed, refused and listed customers');

// A round trip through the service with the client that @hey-api/openapi-ts makes.
import { deepStrictEqual as equal } from 'node:assert';
import { createCustomer, getCustomer, listCustomers, patchCustomer } from './sdk/hey-api/index.js';
import type { AddressInput, CustomerCreate, FieldError } from './sdk/hey-api/index.js';
import { createClient } from './sdk/hey-api/client/index.js';

const client = createClient({ baseUrl: process.env.API, auth: process.env.TOKEN });

// Create. With a key of ours the request can be sent again if its answer gets lost.
const nadia: CustomerCreate = {
  type: 'INDIVIDUAL', firstName: 'Nadia', middleName: 'Élise', lastName: 'Haddad',
  metadata: { crmId: '88-1204', branch: 'harbor' },
};
const headers = { 'Idempotency-Key': crypto.randomUUID() };
const { data: created } = await createCustomer({ client, body: nadia, headers, throwOnError: true });
const { data: again } = await createCustomer({ client, body: nadia, headers, throwOnError: true });
equal(again, created);
const path = { id: created.id };

// Read. The entity tag names the version.
const read = await getCustomer({ client, path, throwOnError: true });
const etag = read.response.headers.get('ETag');
equal([read.data, etag], [created, '"1"']);
const ifMatch = { 'If-Match': etag! };

// Change what was read: null removes, what is left out stays.
const patch = { middleName: null, metadata: { branch: null } };
const { data: changed } = await patchCustomer({ client, path, headers: ifMatch, body: patch, throwOnError: true });
equal(
  [changed.firstName, changed.middleName, changed.metadata],
  ['Nadia', undefined, { crmId: '88-1204' }],
);

// The version that was read is an old one by now.
const stale = await patchCustomer({ client, path, headers: ifMatch, body: { firstName: 'Nadja' } });
equal(stale.error?.code, 'version_mismatch');
if (stale.error && 'currentVersion' in stale.error) equal(stale.error.currentVersion, 2);
else throw new Error('a 412 names the current version');

// All faults of a body at once.
const home: AddressInput = {
  type: 'MAILING', streetLine1: '18 Harbor Street', cityName: 'Portland', countryCode: 'USA',
};
const { error: refused } = await patchCustomer({ client, path, body: { addresses: [home] } });
if (!refused || !('errors' in refused)) throw new Error('a 422 names the faults');
const faults: FieldError[] = refused.errors ?? [];
equal(faults.map(({ pointer, code }) => [pointer, code]), [
  ['/addresses/0/stateCode', 'state_required'],
  ['/addresses', 'primary_missing'],
]);
equal(faults[0]?.detail, 'is required for an address in United States of America');

// List, page by page.
const newer: string[] = [];
for (const _ of Array(4)) {
  newer.push((await createCustomer({ client, body: nadia, throwOnError: true })).data.id);
}
const pages: string[][] = [];
let cursor: string | undefined;
do {
  const query = { createdAfter: created.createdAt, sort: 'createdAt', limit: 2, cursor } as const;
  const { data: page } = await listCustomers({ client, query, throwOnError: true });
  pages.push(page.data.map(({ id }) => id));
  cursor = page.nextCursor;
} while (cursor !== undefined);
equal(pages, [newer.slice(0, 2), newer.slice(2)]);
console.log('created, read, changed, refused and listed customers');

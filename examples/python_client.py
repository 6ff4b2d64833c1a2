"""A round trip through the service with the client that openapi-python-client makes."""

import os
import uuid

from customer_accounts_client import AuthenticatedClient
from customer_accounts_client.api.customers import (
    create_customer, get_customer, list_customers, patch_customer,
)
from customer_accounts_client.models import (
    AddressInput, AddressType, Customer, CustomerCreate, CustomerPage, CustomerPatch, CustomerType,
    FieldErrorCode, MetadataInput, MetadataPatch, SortOrder, VersionMismatchProblem, WriteProblem,
)
from customer_accounts_client.types import UNSET

client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["TOKEN"])

# Create. With a key of ours the request can be sent again if its answer gets lost.
nadia = CustomerCreate(
    type_=CustomerType.INDIVIDUAL, first_name="Nadia", middle_name="Élise", last_name="Haddad",
    metadata=MetadataInput.from_dict({"crmId": "88-1204", "branch": "harbor"}),
)
key = str(uuid.uuid4())
created = create_customer.sync(client=client, body=nadia, idempotency_key=key)
assert isinstance(created, Customer)
assert create_customer.sync(client=client, body=nadia, idempotency_key=key) == created

# Read. The entity tag names the version.
read = get_customer.sync_detailed(created.id, client=client)
etag = read.headers["ETag"]
assert (read.parsed, etag) == (created, '"1"')

# Change what was read: None removes, what is left out stays.
patch = CustomerPatch(middle_name=None, metadata=MetadataPatch.from_dict({"branch": None}))
changed = patch_customer.sync(created.id, client=client, body=patch, if_match=etag)
assert isinstance(changed, Customer)
assert (changed.first_name, changed.middle_name) == ("Nadia", UNSET)
assert changed.metadata and changed.metadata.to_dict() == {"crmId": "88-1204"}

# The version that was read is an old one by now.
stale = patch_customer.sync(
    created.id, client=client, body=CustomerPatch(first_name="Nadja"), if_match=etag
)
assert isinstance(stale, VersionMismatchProblem) and stale.current_version == 2

# All faults of a body at once.
home = AddressInput(
    type_=AddressType.MAILING, street_line_1="18 Harbor Street", city_name="Portland", country_code="USA"
)
refused = patch_customer.sync(created.id, client=client, body=CustomerPatch(addresses=[home]))
assert isinstance(refused, WriteProblem) and refused.errors
assert [(fault.pointer, fault.code) for fault in refused.errors] == [
    ("/addresses/0/stateCode", FieldErrorCode.STATE_REQUIRED),
    ("/addresses", FieldErrorCode.PRIMARY_MISSING),
]
assert refused.errors[0].detail == "is required for an address in United States of America"

# List, page by page.
newer = [create_customer.sync(client=client, body=nadia).id for _ in range(4)]
pages, cursor = [], UNSET
while True:
    page = list_customers.sync(
        client=client, created_after=created.created_at, sort=SortOrder.OLDEST_FIRST, limit=2, cursor=cursor
    )
    assert isinstance(page, CustomerPage)
    pages.append([customer.id for customer in page.data])
    cursor = page.next_cursor
    if cursor is UNSET:
        break
assert pages == [newer[:2], newer[2:]], pages
print("created, read, changed, refused and listed customers")

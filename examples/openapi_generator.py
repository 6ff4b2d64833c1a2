"""A round trip through the service with the client that openapi-generator makes."""

import os
import uuid

from customer_accounts import (
    AddressInput, AddressType, ApiClient, ApiException, Configuration, CustomerCreate, CustomerPatch,
    CustomersApi, CustomerType, FieldErrorCode, SortOrder,
)

configuration = Configuration(
    host=os.environ["API"],
    access_token=os.environ["TOKEN"],
    datetime_format="%Y-%m-%dT%H:%M:%S.%fZ",  # its own default is no RFC 3339
)
customers = CustomersApi(ApiClient(configuration))

# Create. With a key of ours the request can be sent again if its answer gets lost.
nadia = CustomerCreate(
    type=CustomerType.INDIVIDUAL, first_name="Nadia", middle_name="Élise", last_name="Haddad",
    metadata={"crmId": "88-1204", "branch": "harbor"},
)
key = str(uuid.uuid4())
created = customers.create_customer(nadia, idempotency_key=key)
assert customers.create_customer(nadia, idempotency_key=key).id == created.id

# Read. The entity tag names the version.
read = customers.get_customer_with_http_info(created.id)
etag = read.headers["etag"]
assert (read.data, etag) == (created, '"1"')

# Change what was read: None removes, what is left out stays.
patch = CustomerPatch(middle_name=None, metadata={"branch": None})
changed = customers.patch_customer(created.id, patch, if_match=etag)
assert (changed.first_name, changed.middle_name, changed.metadata) == ("Nadia", None, {"crmId": "88-1204"})

# The version that was read is an old one by now.
try:
    customers.patch_customer(created.id, CustomerPatch(first_name="Nadja"), if_match=etag)
    raise AssertionError("a stale write was taken")
except ApiException as error:
    assert (error.status, error.data.current_version) == (412, 2)

# All faults of a body at once.
home = AddressInput(
    type=AddressType.MAILING, street_line1="18 Harbor Street", city_name="Portland", country_code="USA"
)
try:
    customers.patch_customer(created.id, CustomerPatch(addresses=[home]))
    raise AssertionError("an address without a state was taken")
except ApiException as error:
    assert error.status == 422
    assert [(fault.pointer, fault.code) for fault in error.data.errors] == [
        ("/addresses/0/stateCode", FieldErrorCode.STATE_REQUIRED),
        ("/addresses", FieldErrorCode.PRIMARY_MISSING),
    ]
    assert error.data.errors[0].detail == "is required for an address in United States of America"

# List, page by page.
newer = [customers.create_customer(nadia).id for _ in range(4)]
pages, cursor = [], None
while True:
    page = customers.list_customers(
        created_after=created.created_at, sort=SortOrder.OLDEST_FIRST, limit=2, cursor=cursor
    )
    pages.append([customer.id for customer in page.data])
    cursor = page.next_cursor
    if cursor is None:
        break
assert pages == [newer[:2], newer[2:]], pages
print("created, read, changed, refused and listed customers")

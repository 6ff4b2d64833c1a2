"""Makes the service (API, TOKEN) measure everything it can, and prints its `/metrics`."""

import json
import os
import urllib.error
import urllib.request

API, TOKEN = os.environ["API"], os.environ["TOKEN"]


def call(method, path, body=None, kind="application/json", token=TOKEN):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data, method=method)
    request.add_header("Content-Type", kind)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read().decode()


def expect(status, *arguments, **options):
    got, headers, body = call(*arguments, **options)
    assert got == status, f"{arguments[:2]}: {got}, not {status}: {body}"
    return headers, body


headers, _ = expect(201, "POST", "/customers", {
    "type": "INDIVIDUAL", "firstName": "Sarah", "lastName": "Green",
    "socialId": "123-45-6789", "socialIdCountryCode": "USA",
    "securityQuestion": "Favorite author?", "securityAnswer": "Barbara Gowdy",
})
customer = headers["Location"]
expect(200, "GET", customer)
expect(200, "GET", "/customers")
expect(200, "POST", "/customers/search", {"lastName": "green"})
expect(200, "GET", f"{customer}/history")
expect(200, "GET", f"{customer}/history/1")
merge = "application/merge-patch+json"
expect(200, "PATCH", customer, {"firstName": "Anna"}, kind=merge)
expect(200, "PATCH", customer, {"status": "SUSPENDED"}, kind=merge)
expect(200, "PATCH", customer, {"status": "ACTIVE"}, kind=merge)
expect(200, "POST", f"{customer}/social-id/reveal", {"purpose": "a check"})
expect(200, "POST", f"{customer}/security-answer/verify", {"answer": "Barbara Gowdy"})
expect(204, "DELETE", customer)
expect(401, "GET", "/customers", token=None)
expect(200, "GET", "/livez")
expect(200, "GET", "/readyz")
print(expect(200, "GET", "/metrics")[1])

"""Customers of the reference's size, each made from its number alone."""

import datetime
import json
import random

EXAMPLE = __file__.replace("measure/customers.py", "reference-example.json")
FIRST = "Sarah Amina Bruno Chloé Dmitri Elif Farid Grace Hiro Ines Jonas Kofi Lena Mateo Nadia".split()
LAST = "Green Okafor Müller Sánchez Tanaka Novák Haddad Rossi Larsen Dubois Kowalski Silva".split()
STATES = [("New York", "NY", "10001"), ("Austin", "TX", "73301"), ("Boston", "MA", "02101")]
BORN = datetime.date(1940, 1, 1).toordinal()
ACTOR = {"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "type": "service-account"}
# One customer in so many is suspended.
SUSPENDED = 100
_draw = random.Random()


def identifier(n):
    return f"00000000-0000-7000-8000-{n:012x}"


def _name(names, n, of_its_own):
    """Most names are shared by few or many, as in life; some are a customer's own, to be found by."""
    name = _draw.choice(names)
    if of_its_own:
        return f"{name}{n:07x}"
    return name + (format(_draw.randrange(20_000), "x") if n % 4 == 1 else "")


def customer(n, known_ids=False, seed=1):
    """The n-th customer, from 1; with a known id it is a line of an export."""
    _draw.seed(seed << 40 | n)
    city, state, code = _draw.choice(STATES)
    first, last = _name(FIRST, n, n % 2 == 0), _name(LAST, n, n % 3 == 0)
    line = {
        "type": "INDIVIDUAL",
        "status": "ACTIVE" if n % SUSPENDED else "SUSPENDED",
        "firstName": first,
        "middleName": "Jane",
        "lastName": last,
        "prefix": "Ms",
        "suffix": "Jr",
        "sex": "FEMALE",
        "gender": "female",
        "pronoun": "she/her",
        "addresses": [
            {"type": kind, "name": {"firstName": first, "lastName": last},
             "streetLine1": f"{_draw.randrange(1, 9999)} Richmond St", "streetLine2": "Unit 2",
             "cityName": city, "stateCode": state, "countryCode": "USA", "zipCode": code,
             "primary": True}
            for kind in ("MAILING", "SHIPPING")
        ],
        "primaryPhoneNumber": {"number": f"+1415{n % 10_000_000:07}", "type": "MOBILE", "verified": True},
        "primaryEmail": {"value": f"customer{n}@example.com", "verified": True},
        "dateOfBirth": datetime.date.fromordinal(BORN + _draw.randrange(23_000)).isoformat(),
        "placeOfBirth": {"city": "Boston", "countryCode": "USA"},
        "securityQuestion": "Who is your favorite author?",
        "securityAnswer": f"Author number {_draw.randrange(100_000)}",
        "socialId": f"{100 + n // (9_999 * 99) % 500:03}-{1 + n // 9_999 % 99:02}-{1 + n % 9_999:04}",
        "socialIdCountryCode": "USA",
        "citizenshipCountryCode": "USA",
        "metadata": {"crmId": f"crm-{n}", "tier": _draw.choice(["gold", "silver", "bronze"])},
    }
    if known_ids:
        at = datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=n)
        at = at.isoformat(timespec="milliseconds") + "Z"
        line = {"version": 1, "id": identifier(n), "createdBy": ACTOR, "createdAt": at,
                "updatedBy": ACTOR, "updatedAt": at, **line}
    return line


def write(file, first, count, known_ids=True, seed=1):
    """Customers as NDJSON."""
    # One encoder: made anew for each line it would cost more than the line.
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for n in range(first, first + count):
        file.write(encode(customer(n, known_ids, seed)) + "\n")


def searches(count, draw):
    """Bodies of each kind of search, made from customers up to `count`. All but two find one customer
    whatever there are; of those born on a day and of those suspended a page is asked that is full at
    every size."""
    def of(step, body):
        last = count // step
        numbers = [step * draw.randint(1, last) for _ in range(min(2_000, last))]
        return [json.dumps(body(customer(n))) for n in numbers]
    return {
        "email": of(1, lambda c: {"email": c["primaryEmail"]["value"].upper()}),
        "phoneNumber": of(1, lambda c: {"phoneNumber": c["primaryPhoneNumber"]["number"]}),
        "lastName": of(3, lambda c: {"lastName": c["lastName"].lower()}),
        "firstName": of(2, lambda c: {"firstName": c["firstName"].lower()}),
        "dateOfBirth": of(1, lambda c: {"dateOfBirth": c["dateOfBirth"], "limit": 1}),
        "socialId": of(1, lambda c: {"socialId": c["socialId"], "socialIdCountryCode": "USA"}),
        "metadata": of(1, lambda c: {"metadata": {"crmId": c["metadata"]["crmId"]}}),
        "status": [json.dumps({"status": "SUSPENDED", "limit": 50})],
    }

"""The rules of FOCUS 1.2 for a cost and usage dataset, as a table of our own: those of the
specification's columns and attributes that the FinOps Foundation's validator knows (model 1.2.0.1)
and those that it leaves to people, as far as a file alone can show them.

`broken(rows)` says which rules rows of a CSV break. An empty field is a null.
"""

import collections
import datetime
import decimal
import json
import re

# What a bill of Croft's has, of which conditional columns depend.
SUPPORTED = {"naming of accounts", "usage measurement", "unit prices", "public prices",
             "negotiated prices", "resources", "types of resources", "sub accounts", "tags"}
ALWAYS, MAY = "always", "may"

Column = collections.namedtuple("Column", "kind nullable when", defaults=(ALWAYS,))
COLUMNS = {
    "AvailabilityZone": Column("text", True, MAY),
    "BilledCost": Column("number", False),
    "BillingAccountId": Column("text", False),
    "BillingAccountName": Column("text", "naming of accounts" not in SUPPORTED),
    "BillingAccountType": Column("text", True, "types of billing accounts"),
    "BillingCurrency": Column("currency", False),
    "BillingPeriodEnd": Column("time", False),
    "BillingPeriodStart": Column("time", False),
    "CapacityReservationId": Column("text", True, "capacity reservations"),
    "CapacityReservationStatus": Column("text", True, "capacity reservations"),
    "ChargeCategory": Column("text", False),
    "ChargeClass": Column("text", True),
    "ChargeDescription": Column("text", True),
    "ChargeFrequency": Column("text", False, MAY),
    "ChargePeriodEnd": Column("time", False),
    "ChargePeriodStart": Column("time", False),
    "CommitmentDiscountCategory": Column("text", True, "commitment discounts"),
    "CommitmentDiscountId": Column("text", True, "commitment discounts"),
    "CommitmentDiscountName": Column("text", True, "commitment discounts"),
    "CommitmentDiscountQuantity": Column("number", True, "commitment discounts"),
    "CommitmentDiscountStatus": Column("text", True, "commitment discounts"),
    "CommitmentDiscountType": Column("text", True, "commitment discounts"),
    "CommitmentDiscountUnit": Column("unit", True, "commitment discounts"),
    "ConsumedQuantity": Column("number", True, "usage measurement"),
    "ConsumedUnit": Column("unit", True, "usage measurement"),
    "ContractedCost": Column("number", False),
    "ContractedUnitPrice": Column("number", True, "negotiated prices"),
    "EffectiveCost": Column("number", False),
    "InvoiceId": Column("text", True, MAY),
    "InvoiceIssuerName": Column("text", False),
    "ListCost": Column("number", False),
    "ListUnitPrice": Column("number", True, "public prices"),
    "PricingCategory": Column("text", True, "kinds of pricing"),
    "PricingCurrency": Column("currency", True, "currencies of prices"),
    "PricingCurrencyContractedUnitPrice": Column("number", True, "currencies of prices"),
    "PricingCurrencyEffectiveCost": Column("number", True, "currencies of prices"),
    "PricingCurrencyListUnitPrice": Column("number", True, "currencies of prices"),
    "PricingQuantity": Column("number", True),
    "PricingUnit": Column("unit", True),
    "ProviderName": Column("text", False),
    "PublisherName": Column("text", False),
    "RegionId": Column("text", True, "regions"),
    "RegionName": Column("text", True, "regions"),
    "ResourceId": Column("text", True, "resources"),
    "ResourceName": Column("text", True, "resources"),
    "ResourceType": Column("text", True, "types of resources"),
    "ServiceCategory": Column("text", False),
    "ServiceName": Column("text", False),
    "ServiceSubcategory": Column("text", False, MAY),
    "SkuId": Column("text", True, "unit prices"),
    "SkuMeter": Column("text", True, "unit prices"),
    "SkuPriceDetails": Column("object", True, "unit prices"),
    "SkuPriceId": Column("text", True, "unit prices"),
    "SubAccountId": Column("text", True, "sub accounts"),
    "SubAccountName": Column("text", True, "sub accounts"),
    "SubAccountType": Column("text", True, "types of sub accounts"),
    "Tags": Column("object", True, "tags"),
}

ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases",
        "Developer Tools", "Identity", "Integration", "Internet of Things",
        "Management and Governance", "Media", "Migration", "Mobile", "Multicloud", "Networking",
        "Security", "Storage", "Web", "Other"},
}
# Of the one category that there is here.
COMPUTE = {"Containers", "End User Computing", "Quantum Compute", "Serverless Compute",
           "Virtual Machines", "Other (Compute)"}

SIZE = "(?:[KMGTPE]i?)?[bB]"
BASE = f"(?:{SIZE}|[A-Z][A-Za-z]*)"
FORMS = {
    "number": re.compile(r"-?[0-9]+(?:\.[0-9]+)?"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "currency": re.compile("[A-Z]{3}"),
    "unit": re.compile(f"(?:[1-9][0-9]* )?{BASE}(?:-{BASE})*(?:/(?:[1-9][0-9]* )?{BASE})?"),
    "text": re.compile(r"(?s).*\S.*"),
    "object": re.compile(r"\{.*\}"),
}
PLACEHOLDERS = {"NULL", "N/A", "NA", "NONE", "NOT APPLICABLE", "-"}
COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
# Null for a tax; there for what is used or bought, but for corrections.
OF_PRICES = ("ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity",
             "PricingUnit", "SkuId", "SkuPriceId")


def number(row, name):
    return decimal.Decimal(row[name]) if row.get(name) else None


def is_object(text):
    def pairs(found):
        assert len({key for key, _ in found}) == len(found)
        return dict(found)
    try:
        found = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, AssertionError):
        return False
    return isinstance(found, dict) and not any(
        isinstance(value, (dict, list)) for value in found.values())


def product_is(row, price, cost):
    if not row.get(price) or not row["PricingQuantity"] or row["ChargeClass"]:
        return True
    with decimal.localcontext(decimal.Context(prec=80)):
        return number(row, price) * number(row, "PricingQuantity") == number(row, cost)


def month_of(row):
    start, end = (datetime.datetime.fromisoformat(row[f"BillingPeriod{x}"][:-1])
                  for x in ("Start", "End"))
    return start < end and start.day == end.day == 1 and 28 <= (end - start).days <= 31


def is_used(row):
    return row["ChargeCategory"] == "Usage"


def is_sold(row):
    return row["ChargeCategory"] in ("Usage", "Purchase") and not row["ChargeClass"]


# Of a row: each true, whatever the columns' own table says.
ROWS = {
    "a billing period is a month": month_of,
    "a charge's period is not empty, and within that which it is billed in": lambda r: (
        r["BillingPeriodStart"] <= r["ChargePeriodStart"] < r["ChargePeriodEnd"]
        <= r["BillingPeriodEnd"]),
    "a purchase is not by usage": lambda r: not (
        r["ChargeCategory"] == "Purchase" and r.get("ChargeFrequency") == "Usage-Based"),
    "a tax has no price": lambda r: r["ChargeCategory"] != "Tax" or not any(
        r.get(name) for name in OF_PRICES),
    "what is sold has a price": lambda r: not is_sold(r) or all(
        r[name] for name in OF_PRICES if name in r),
    "what is used was measured": lambda r: not is_used(r) or r["ChargeClass"] or (
        r["ConsumedQuantity"] and r["ConsumedUnit"]),
    "what is not used was not measured": lambda r: is_used(r) or not (
        r["ConsumedQuantity"] or r["ConsumedUnit"]),
    "a quantity has a unit": lambda r: all(
        bool(r[f"{x}Quantity"]) == bool(r[f"{x}Unit"]) for x in ("Consumed", "Pricing")),
    "only a correction takes something off": lambda r: r["ChargeClass"] or all(
        number(r, f"{x}Quantity") is None or number(r, f"{x}Quantity") >= 0
        for x in ("Consumed", "Pricing")),
    "prices are not below 0": lambda r: all(
        number(r, name) is None or number(r, name) >= 0
        for name in ("ContractedUnitPrice", "ListUnitPrice")),
    "a list's cost is its price times the quantity": lambda r: product_is(
        r, "ListUnitPrice", "ListCost"),
    "a contract's cost is its price times the quantity": lambda r: product_is(
        r, "ContractedUnitPrice", "ContractedCost"),
    "what has no price of its own costs what is billed": lambda r: r["ListUnitPrice"] or len(
        {number(r, name) for name in COSTS}) == 1,
    "what was paid for elsewhere is not in it": lambda r: (
        number(r, "EffectiveCost") == number(r, "BilledCost")),
    # "Discount Handling": what is free and what is not are rows of their own.
    "a discount is of a whole row": lambda r: r["ChargeClass"] or not is_used(r) or (
        number(r, "BilledCost") == 0 or abs(number(r, "BilledCost") - number(r, "ListCost"))
        <= (number(r, "ListUnitPrice") + 1) * decimal.Decimal("1e-9")),
    "a resource has a type": lambda r: bool(r["ResourceId"]) == bool(r["ResourceType"]),
    "only a resource has a name": lambda r: r["ResourceId"] or not r["ResourceName"],
    "a name is not its id again": lambda r: not r["ResourceId"] or (
        r["ResourceId"] != r["ResourceName"]),
    "a SKU has a meter": lambda r: bool(r["SkuId"]) == bool(r["SkuMeter"]),
    "only a SKU's price has details": lambda r: r["SkuPriceId"] or not r["SkuPriceDetails"],
    "details of prices are Pascal case, and not FOCUS' own": lambda r: all(
        re.fullmatch("[A-Z][A-Za-z0-9]*", key)
        for key in json.loads(r["SkuPriceDetails"] or "{}")),
    "a provider's tags have a prefix": lambda r: all(
        re.fullmatch("croft/[a-z]+", key) for key in json.loads(r["Tags"] or "{}")),
    "only a sub account has a name": lambda r: r["SubAccountId"] or not r["SubAccountName"],
    "a subcategory is of its category": lambda r: (
        r["ServiceCategory"] == "Compute" and r["ServiceSubcategory"] in COMPUTE),
}
# Of all rows: what a value of the first column says which of the second it has.
ONE_EACH = (("SkuPriceId", "SkuId"), ("SkuId", "SkuMeter"), ("SkuPriceId", "SkuPriceDetails"),
            ("BillingAccountId", "BillingCurrency"), ("ServiceName", "ServiceSubcategory"),
            ("ServiceName", "ServiceCategory"), ("SkuPriceId", "ListUnitPrice"),
            ("SubAccountId", "SubAccountName"),
            ("SkuPriceId", "PricingUnit"))


def broken_names(names):
    for name, column in COLUMNS.items():
        if name not in names and (column.when == ALWAYS or column.when in SUPPORTED):
            yield f"{name} is there"
    for name in names:
        if name not in COLUMNS and not re.fullmatch("x_[A-Z][A-Za-z0-9]{0,47}", name):
            yield f"{name} is FOCUS' or begins with x_"
    if len(set(names)) < len(names):
        yield "a name is there once"


def broken_value(name, value):
    column = COLUMNS[name]
    if not value:
        return None if column.nullable else f"{name} is not null"
    if value.upper() in PLACEHOLDERS or not FORMS[column.kind].fullmatch(value):
        return f"{name} is a {column.kind}"
    if column.kind == "object" and not is_object(value):
        return f"{name} is a {column.kind}"
    if value not in ALLOWED.get(name, {value}):
        return f"{name} is one of those allowed"
    return None


def broken_row(row):
    found = [broken_value(name, value) for name, value in row.items() if name in COLUMNS]
    if any(found):
        return [what for what in found if what]
    return [what for what, check in ROWS.items() if not check(row)]


def broken(rows):
    """The rules that they break, each once, and in which row first."""
    found = {what: None for what in broken_names(list(rows[0]) if rows else list(COLUMNS))}
    if found:
        return found
    for row in rows:
        for what in broken_row(row):
            found.setdefault(what, row)
    for key, value in ONE_EACH:
        seen = {}
        for row in rows:
            if row[key] and seen.setdefault(row[key], row[value]) != row[value]:
                found.setdefault(f"{key} says which {value}", row)
    return found


def spoilt(row):
    """Rows that break one rule each, of one of usage that breaks none: (rule, rows)."""
    tax = {**row, **dict.fromkeys(OF_PRICES, ""), "ChargeCategory": "Tax", "ConsumedQuantity": "",
           "ConsumedUnit": "", "SkuMeter": "", "SkuPriceDetails": "",
           **dict.fromkeys(COSTS, "1")}
    quantity = decimal.Decimal(row["PricingQuantity"])

    def but(**values):
        return [{**row, **values}]
    for name, column in COLUMNS.items():
        if name in row:
            yield (f"{name} is there" if column.when == ALWAYS or column.when in SUPPORTED
                   else None), [{k: v for k, v in row.items() if k != name}]
            yield (None if column.nullable else f"{name} is not null"), but(**{name: ""})
            yield f"{name} is a {column.kind}", but(**{name: "N/A"})
            if name in ALLOWED:
                yield f"{name} is one of those allowed", but(**{name: "Something"})
    for name, bad in (("BilledCost", "1e5"), ("BilledCost", "+1"), ("BilledCost", "1,000"),
                      ("BilledCost", ".5"), ("BillingCurrency", "euro"), ("PricingUnit", "hours"),
                      ("PricingUnit", "GiB*Hours"),
                      ("ChargePeriodEnd", "2026-11-01 00:00:00"), ("ServiceName", "  "),
                      ("BillingPeriodStart", "2026-11-01T00:00:00+01:00"), ("Tags", "[1]"),
                      ("Tags", '{"croft/a": [1]}'), ("Tags", '{"croft/a": 1, "croft/a": 2}')):
        yield f"{name} is a {COLUMNS[name].kind}", but(**{name: bad})
    yield "Region is FOCUS' or begins with x_", but(Region="here")
    yield "a billing period is a month", but(BillingPeriodEnd=row["BillingPeriodStart"])
    within = "a charge's period is not empty, and within that which it is billed in"
    yield within, but(ChargePeriodEnd=row["ChargePeriodStart"])
    yield within, but(ChargePeriodStart="2001-01-01T00:00:00Z")
    yield "a purchase is not by usage", but(
        ChargeCategory="Purchase", ConsumedQuantity="", ConsumedUnit="")
    yield "a tax has no price", [{**tax, "SkuId": "a", "SkuMeter": "a"}]
    yield "what is sold has a price", but(SkuPriceId="", SkuPriceDetails="")
    yield "what is used was measured", but(ConsumedQuantity="", ConsumedUnit="")
    yield "what is not used was not measured", [{**tax, "ConsumedQuantity": "1",
                                                 "ConsumedUnit": "B"}]
    yield "a quantity has a unit", but(ChargeClass="Correction", ConsumedUnit="")
    yield "only a correction takes something off", but(ConsumedQuantity="-1")
    yield "prices are not below 0", but(ChargeClass="Correction", ListUnitPrice="-1")
    yield "a list's cost is its price times the quantity", but(
        ListCost=str(decimal.Decimal(row["ListCost"]) + decimal.Decimal("1e-7")))
    yield "a contract's cost is its price times the quantity", but(
        PricingQuantity=str(quantity + 1))
    yield "what has no price of its own costs what is billed", [{**tax, "ListCost": "2"}]
    yield "what was paid for elsewhere is not in it", but(EffectiveCost="12345")
    yield "a discount is of a whole row", but(BilledCost="12345", EffectiveCost="12345")
    yield "a resource has a type", but(ResourceType="")
    yield "only a resource has a name", but(ResourceId="", ResourceType="")
    yield "a name is not its id again", but(ResourceName=row["ResourceId"])
    yield "a SKU has a meter", but(SkuMeter="")
    yield "only a SKU's price has details", but(ChargeClass="Correction", SkuPriceId="")
    details = "details of prices are Pascal case, and not FOCUS' own"
    yield details, but(SkuPriceDetails='{"F_CoreCount": 1}')
    yield "a provider's tags have a prefix", but(Tags='{"meter": "cpu.used"}')
    yield "only a sub account has a name", but(SubAccountId="")
    yield "a subcategory is of its category", but(ServiceSubcategory="Bots")
    for key, value in ONE_EACH:
        other = {"currency": "XXX", "number": "1", "object": "{}"}.get(COLUMNS[value].kind, "Other")
        yield f"{key} says which {value}", [row, {**row, value: other}]

"""Values that every mapper reads: exact, or refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import InvalidValue, OperatorError
from processors.mapper import (
    Keys,
    action,
    content_hash,
    is_same,
    micros,
    money,
    rate,
    scaled,
    stake,
)
from schemas.codec import encode_event
from schemas.records import (
    Conversion,
    Event,
    Evidence,
    Invoice,
    Money,
    Status,
)


def test_an_amount_keeps_the_digits_that_it_was_told_with() -> None:
    told = money(Decimal("10.000"), "usd", "$.amount")
    assert told == Money(Decimal("10.000"), "USD")
    assert str(told.amount) == "10.000"


def test_what_was_not_told_is_not_zero() -> None:
    assert money(None, "USD", "$.amount") is None
    assert rate(None, "$.rate") is None
    assert stake(None) is None


def test_beyond_18_decimals_an_amount_is_rounded_half_even_and_its_digits_are_kept() -> None:
    told = money(Decimal("0.1234567890123456785"), "ETH", "$.amount")
    assert told == Money(Decimal("0.123456789012345678"), "ETH", "0.1234567890123456785")


def test_zeros_beyond_18_decimals_are_no_digits_to_keep() -> None:
    told = money(Decimal("0.5000000000000000000000"), "ETH", "$.amount")
    assert told is not None
    assert told.exact is None


@pytest.mark.parametrize(
    "amount",
    [
        *("NaN", "sNaN", "Infinity", "-Infinity"),
        *("-0.01", "1e20", "1e400", "1e-400"),
        "99999999999999999999.9999999999999999999",
    ],
)
def test_what_cannot_be_an_amount_is_refused(amount: str) -> None:
    with pytest.raises(InvalidValue, match=r"^\$\.amount: expected "):
        money(Decimal(amount), "USD", "$.amount")


def test_a_signed_amount_may_be_negative() -> None:
    assert money(Decimal(-5), "EUR", "$.amount", signed=True) == Money(Decimal(-5), "EUR")


@given(st.decimals() | st.decimals(places=30))
def test_every_amount_is_refused_or_fits_the_contract(amount: Decimal) -> None:
    try:
        told = money(amount, "USD", "$.amount", signed=True)
    except InvalidValue:
        return
    encode_event(event_of(told))
    assert told is not None
    assert told.amount is not None
    assert abs(told.amount) < 10**20
    assert Decimal(told.exact or told.amount) == amount


def event_of(told: Money | None) -> Event:
    return Event(
        **dict.fromkeys(
            (
                *("id", "type", "provider", "account", "environment", "provider_type"),
                *("entity_kind", "entity_id", "change", "authority", "time_source", "via"),
                "mapper",
            ),
            "",
        ),
        **dict.fromkeys(("entity_sequence", "occurred_at", "received_at", "published_at"), 0),
        is_fact=True,
        is_stale=False,
        group=None,
        evidence=Evidence("", 0, 0, "", "", ""),
        invoice=Invoice(status="", provider_status="", amount=told),
    )


def test_a_rate_is_its_digits_without_an_exponent() -> None:
    assert rate(Decimal("0.0006130127560164107"), "$.rate") == "0.0006130127560164107"
    assert rate(Decimal("1E-7"), "$.rate") == "0.0000001"
    assert rate(Decimal("1.5E+3"), "$.rate") == "1500"


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-1", "1e200", "1e-200"])
def test_what_cannot_be_a_rate_is_refused(number: str) -> None:
    with pytest.raises(InvalidValue, match=r"^\$\.rate: expected "):
        rate(Decimal(number), "$.rate")


def test_thousandths_become_units_exactly() -> None:
    assert scaled(Decimal(10000), 3) == Decimal(10)
    assert scaled(Decimal(10**32 + 123), 3) == Decimal("100000000000000000000000000000.123")


def test_what_is_too_large_to_shift_is_no_amount() -> None:
    with pytest.raises(InvalidValue):
        money(scaled(Decimal("1e999999999"), 3), "USD", "$.amount")


def test_numbers_are_compared_exactly_and_what_is_none_equals_nothing() -> None:
    assert is_same(Decimal("10.000"), Decimal(10))
    assert not is_same(Decimal("10.000"), Decimal("10.001"))
    assert not is_same(Decimal("sNaN"), Decimal("sNaN"))


def test_a_time_is_told_in_whole_microseconds() -> None:
    moment = datetime(2025, 4, 4, 13, 15, 9, 123456, tzinfo=UTC)
    assert micros(moment) == 1743772509123456
    assert micros(moment.replace(tzinfo=None)) == micros(moment)
    assert micros(1743772509) == 1743772509000000


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), -1, 2**33]
)
def test_a_time_beyond_the_contract_is_refused(moment: datetime | int) -> None:
    with pytest.raises(InvalidValue, match=r"^\$\.at: expected a time between 1970 and 2112"):
        micros(moment, "$.at")


def test_an_invoice_is_paid_and_all_else_is_called_by_its_status() -> None:
    invoice = Invoice(status="completed", provider_status="paid")
    conversion = Conversion(side="buy", status="completed", provider_status="COMPLETED")
    assert action(invoice, Status.COMPLETED) == "paid"
    assert action(invoice, Status.EXPIRED) == "expired"
    assert action(conversion, Status.COMPLETED) == "completed"


def test_a_person_is_told_as_a_keyed_hash_and_keys_are_never_shown() -> None:
    keys = Keys(verification={"k1": b"token"}, reference_id="r1", reference=b"secret")
    assert keys.hashed("cust_1") == keys.hashed("cust_1") != keys.hashed("cust_2")
    assert str(keys.hashed("cust_1")).startswith("r1:")
    assert keys.hashed(None) is keys.hashed("") is None
    assert repr(keys) == "Keys()"


def test_an_empty_key_is_refused_before_anything_is_verified_with_it() -> None:
    with pytest.raises(OperatorError, match="key k1: "):
        Keys(verification={"k1": b""}, reference_id="r1", reference=b"secret")
    with pytest.raises(OperatorError, match="key r1: "):
        Keys(reference_id="r1", reference=b"")


def test_a_content_hash_is_the_published_one_whatever_the_form() -> None:
    published = "aa58fba8483623bed37c1b02edfccbdd9a53123837c20bfa4cb4049993a2872e"
    for body in ('{"b":1,"a":"é"}', '{ "a": "\\u00e9",\n"b":1 }', '{"type":"t","b":1,"a":"é"}'):
        assert content_hash(body.encode(), "type") == published


def test_a_content_hash_keeps_a_numbers_digits() -> None:
    hashes = {content_hash(f'{{"a":[{{"n":{n}}}]}}'.encode()) for n in ("1", "1.0", "1.00", "1e0")}
    assert len(hashes) == 4

import pytest

from ingest.dialects.endings import of_close, of_refusal
from ingest.feed import (
    After,
    AtOnce,
    BackOff,
    Close,
    Disconnected,
    Pause,
    Refusal,
    Refused,
    Unauthorized,
)


@pytest.mark.parametrize(
    ("code", "pause"),
    [
        *((code, AtOnce()) for code in (1001, 1005, 1006, 1012)),
        *((code, BackOff()) for code in (1000, 1002, 1003, 1007, 1009, 1010, 1011, 1013, 1014)),
        (3999, BackOff()),
        (4999, BackOff()),
    ],
)
def test_most_closes_may_be_dialled_again(code: int, pause: Pause) -> None:
    error = of_close(Close(code, "because"))
    assert isinstance(error, Disconnected)
    assert (error.pause, str(error)) == (pause, f"closed with {code} because")


def test_a_policy_close_reads_the_credential_again_and_then_backs_off_long() -> None:
    error = of_close(Close(1008))
    assert isinstance(error, Unauthorized)
    assert isinstance(error.then, Disconnected)
    assert error.then.pause == After(300)


@pytest.mark.parametrize(
    ("refusal", "pause"),
    [
        (Refusal(429), After(60)),
        (Refusal(429, retry_after=7), After(7)),
        (Refusal(503, retry_after=7), After(7)),
        (Refusal(500), BackOff()),
        (Refusal(200, excerpt="<html>maintenance</html>"), BackOff()),
        (Refusal(302), BackOff()),
        (Refusal(418), BackOff()),
    ],
)
def test_most_refusals_may_be_dialled_again(refusal: Refusal, pause: Pause) -> None:
    error = of_refusal(refusal)
    assert isinstance(error, Disconnected)
    assert error.pause == pause


@pytest.mark.parametrize("status", [400, 404])
def test_a_wrong_request_stops(status: int) -> None:
    assert type(of_refusal(Refusal(status))) is Refused


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_is_tried_again_before_it_stops(status: int) -> None:
    error = of_refusal(Refusal(status))
    assert isinstance(error, Unauthorized)
    assert type(error.then) is Refused

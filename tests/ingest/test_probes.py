from collections.abc import AsyncIterator

import aiohttp
import pytest

from ingest import probes
from ingest.errors import SettingsError
from ingest.metrics import Metrics
from ingest.probes import Progress, application, serve


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
async def address(progress: Progress) -> AsyncIterator[str]:
    metrics = Metrics()
    metrics.of("pepay", "main").bytes.inc(7)
    runner, bound = await serve(application(metrics, progress), "127.0.0.1", 0)
    yield f"http://{bound}"
    await runner.cleanup()


async def asked(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_lives_while_every_feed_moves(
    progress: Progress, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress.expect("pepay/main")
    assert (await asked(f"{address}/health/live"))[0] == 200
    monkeypatch.setattr(probes, "STUCK_AFTER", -1)
    progress.expect("pepay/main")
    status, body = await asked(f"{address}/health/live")
    assert (status, body) == (503, '{"stuck": ["pepay/main"]}')


async def test_a_pause_that_was_asked_for_is_not_a_standstill(
    progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "STUCK_AFTER", -1)
    progress.expect("pepay/main", within=1000)
    assert progress.stuck() == []


async def test_a_feed_that_was_stopped_for_good_is_not_waited_for(
    progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "STUCK_AFTER", -1)
    progress.ready("pepay/main", ready=False)
    progress.expect_nothing("pepay/main")
    progress.expect("pepay/main")
    progress.ready("pepay/main", ready=False)
    assert (progress.stuck(), progress.waiting()) == ([], [])


async def test_is_ready_once_every_feed_is_connected(progress: Progress, address: str) -> None:
    progress.ready("pepay/main", ready=True)
    progress.ready("transak/main", ready=False)
    status, body = await asked(f"{address}/health/ready")
    assert (status, body) == (503, '{"not connected": ["transak/main"]}')
    progress.ready("transak/main", ready=True)
    assert (await asked(f"{address}/health/ready"))[0] == 200


async def test_tells_its_metrics(address: str) -> None:
    status, body = await asked(f"{address}/metrics")
    assert status == 200
    assert 'penstock_ingest_bytes_total{account="main",provider="pepay"} 7.0' in body


async def test_a_port_that_is_taken_is_the_operators(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1"):
        await serve(application(Metrics(), Progress()), "127.0.0.1", port)

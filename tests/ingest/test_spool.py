"""The spool on a real disk: power cuts at every byte, full disks, kills, and two that want it."""

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.spool import Spool
from schemas.records import Kind, Raw, Via


def raw(number: int, size: int = 20) -> Raw:
    return Raw(
        provider="acme",
        account="main",
        environment="sandbox",
        via=Via.WEBHOOK,
        route="hook",
        kind=Kind.FRAME,
        connection="c",
        sequence=number,
        received_at=number,
        signature={"x-signature": "s"},
        value=(b"%d" % number).rjust(size),
    )


def opened(directory: Path, segment_bytes: int = 700) -> Spool:
    return Spool(directory, fsync=True, segment_bytes=segment_bytes)


def rest(spool: Spool) -> list[Raw]:
    """Return everything that is left to read."""
    records = []
    while piece := spool.read():
        records += [raw for _, raw in piece]
    return records


def acknowledged(spool: Spool, count: int) -> None:
    """Let raw acknowledge the first records."""
    places = []
    while piece := spool.read():
        places += [place for place, _ in piece]
    if count:
        spool.acknowledge(places[count - 1])
    spool.rewind()


def left_by_a_crash(directory: Path, harm: Callable[[Path], None], to: Path) -> list[Raw]:
    """Return what is read of a copy of a spool after harm was done to the copy."""
    shutil.copytree(directory, to)
    harm(to)
    spool = opened(to)
    found = rest(spool)
    spool.close()
    shutil.rmtree(to)
    return found


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.segment"))


def test_what_was_written_is_read_once_in_its_order_across_segments(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    written = [raw(number, size=1 + 37 * number) for number in range(40)]
    for start in range(0, 40, 5):
        spool.write(written[start : start + 5])
    assert len(segments(tmp_path)) > 10
    assert rest(spool) == written
    assert spool.unread == 0
    spool.write([raw(40)])
    assert rest(spool) == [raw(40)]


def test_a_record_longer_than_a_segment_has_its_own(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    written = [raw(1), raw(2, size=5000), raw(3)]
    spool.write(written)
    assert rest(spool) == written


def test_a_power_cut_at_any_byte_keeps_all_that_was_on_disk_before(tmp_path: Path) -> None:
    """fsync returned for the first records; of those behind it, any byte may be missing."""
    spool = opened(tmp_path / "spool", segment_bytes=10_000)
    safe = [raw(number) for number in range(3)]
    spool.write(safe)
    acknowledged(spool, 1)
    (file,) = segments(tmp_path / "spool")
    durable = file.stat().st_size
    unsafe = [raw(number) for number in range(3, 6)]
    spool.write(unsafe)
    spool.close()
    written = safe[1:] + unsafe
    for size in range(durable, file.stat().st_size + 1):

        def shorten(copy: Path, size: int = size) -> None:
            os.truncate(copy / file.name, size)

        found = left_by_a_crash(tmp_path / "spool", shorten, tmp_path / "copy")
        assert found[:2] == safe[1:]
        assert found == written[: len(found)]

        def zero(copy: Path, size: int = size) -> None:
            whole = (copy / file.name).stat().st_size
            os.truncate(copy / file.name, size)
            os.truncate(copy / file.name, whole)

        found = left_by_a_crash(tmp_path / "spool", zero, tmp_path / "copy")
        assert found[:2] == safe[1:]
        assert found == written[: len(found)]


def test_a_power_cut_at_any_byte_of_any_segment_costs_what_is_behind_it_alone(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path / "spool")
    written = [raw(number) for number in range(12)]
    for each in written:
        spool.write([each])
    spool.close()
    for file in segments(tmp_path / "spool"):
        for size in range(file.stat().st_size):

            def shorten(copy: Path, file: Path = file, size: int = size) -> None:
                os.truncate(copy / file.name, size)
                for later in segments(copy):
                    if later.name > file.name:
                        later.unlink()

            found = left_by_a_crash(tmp_path / "spool", shorten, tmp_path / "copy")
            assert found == written[: len(found)]


def test_any_damaged_byte_costs_one_record_at_most(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    written = [raw(number) for number in range(8)]
    spool.write(written)
    spool.close()
    for file in segments(tmp_path / "spool"):
        for at in range(file.stat().st_size):

            def flip(copy: Path, file: Path = file, at: int = at) -> None:
                with (copy / file.name).open("r+b") as damaged:
                    damaged.seek(at)
                    byte = damaged.read(1)[0]
                    damaged.seek(at)
                    damaged.write(bytes([byte ^ 0x40]))

            found = left_by_a_crash(tmp_path / "spool", flip, tmp_path / "copy")
            assert len(found) == len(written) - 1
            assert [each for each in written if each in found] == found


def test_a_torn_tail_is_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.write([raw(1), raw(2)])
    spool.close()
    (file,) = segments(tmp_path)
    one = file.stat().st_size // 2
    os.truncate(file, 2 * one - 5)
    again = opened(tmp_path)
    assert again.cut == one - 5
    assert rest(again) == [raw(1)]


def test_the_next_process_goes_on_behind_what_raw_acknowledged(tmp_path: Path) -> None:
    written = [raw(number) for number in range(20)]
    for count in range(21):
        spool = opened(tmp_path / str(count))
        spool.write(written)
        acknowledged(spool, count)
        spool.close()  # As a kill does: nothing is written here.
        again = opened(tmp_path / str(count))
        again.write([raw(20)])
        assert rest(again) == [*written[count:], raw(20)]
        again.close()


@pytest.mark.parametrize("harm", [b"", b"\0" * 20, b"x" * 20, b"short"])
def test_a_position_that_cannot_be_read_means_that_more_is_told_twice(
    tmp_path: Path, harm: bytes
) -> None:
    spool = opened(tmp_path, segment_bytes=10_000)
    spool.write([raw(1), raw(2), raw(3)])
    acknowledged(spool, 2)
    spool.close()
    (tmp_path / "acknowledged").write_bytes(harm)
    assert rest(opened(tmp_path)) == [raw(1), raw(2), raw(3)]


def test_the_position_of_an_earlier_outage_is_not_taken_for_one_of_this(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.write([raw(1), raw(2)])
    acknowledged(spool, 2)
    spool.clear()
    spool.write([raw(3), raw(4)])
    spool.close()
    assert rest(opened(tmp_path)) == [raw(3), raw(4)]


def test_acknowledged_segments_leave_the_disk(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.write([raw(number) for number in range(40)])
    before = spool.size
    acknowledged(spool, 30)
    assert spool.size == sum(file.stat().st_size for file in segments(tmp_path)) < before / 2
    spool.clear()
    assert (spool.size, segments(tmp_path)) == (0, [])


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_takes_nothing_and_spoils_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=10_000)
    spool.write([raw(1), raw(2)])
    for size in (spool.size + 10, 10, 0):
        with full_disk(size), pytest.raises(OSError, match="too large"):
            spool.write([raw(3), raw(4)])
    spool.write([raw(3), raw(4)])
    assert rest(spool) == [raw(number) for number in (1, 2, 3, 4)]
    spool.close()
    assert rest(opened(tmp_path)) == [raw(number) for number in (1, 2, 3, 4)]


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SettingsError) as refused:
        opened(tmp_path)
    assert f"in use by process {os.getpid()}" in str(refused.value)
    assert "ingest.spool.directory" in str(refused.value)
    spool.close()
    opened(tmp_path).close()


def test_a_directory_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"ingest\.spool\.directory"):
        opened(tmp_path / "file" / "spool")

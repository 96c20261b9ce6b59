"""One RocksDB directory: written without a log, and never trusted when it looks wrong.

What a transaction adds is one write batch, and all column families are flushed together
(``atomic_flush``): after a kill the store is as some earlier batch left it, whole.
https://github.com/facebook/rocksdb/wiki/Atomic-flush
https://rocksdict.github.io/RocksDict/rocksdict.html
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from rocksdict import (
    BlockBasedOptions,
    Cache,
    ColumnFamily,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from processors.errors import OperatorError

_MIB: Final = 2**20
_DISTRUSTED: Final = "distrusted"
"""File that says why the next start must not use what lies beside it."""
_IDENTITY: Final = b"identity"
_WRITES: Final = 48 * _MIB
_WRITES_PER_STORE: Final = 2 * _MIB
"""What an empty store takes at most: eight column families, each with a bloom filter of 0.2."""


class Untrusted(OperatorError):
    """What lies in the directory cannot be used: rebuild it, now or at the next start."""


class Buffers:
    """The memory that all stores of a process share."""

    def __init__(self) -> None:
        self._cache = Cache(64 * _MIB)
        self._writes = WriteBufferManager(_WRITES, allow_stall=False)

    def enter(self) -> None:
        """Make room for one more store, else what many empty ones take would leave none.

        RocksDB then flushes them after each write, for ever: with 12 it took 40 % of a worker.
        """
        self._writes.set_buffer_size(self._writes.get_buffer_size() + _WRITES_PER_STORE)

    def leave(self) -> None:
        self._writes.set_buffer_size(self._writes.get_buffer_size() - _WRITES_PER_STORE)

    def options(self) -> Options:
        """Return options for a store, or for a column family of one."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003 - its own way to be called
        options.set_atomic_flush(True)
        options.set_write_buffer_manager(self._writes)
        options.set_write_buffer_size(16 * _MIB)
        options.set_arena_block_size(_MIB // 16)  # 1 MiB by default, for each empty family
        # Without it a miss, which every new fact is, costs 3 us in place of 1.
        options.set_memtable_prefix_bloom_ratio(0.0125)  # some 10 bits for each key of a full one
        options.set_memtable_whole_key_filtering(True)
        options.set_block_based_table_factory(self._tables())
        options.set_compression_type(DBCompressionType.none())  # hashes do not compress
        options.set_max_background_jobs(2)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(_MIB)
        options.set_stats_dump_period_sec(0)
        return options

    def _tables(self) -> BlockBasedOptions:
        tables = BlockBasedOptions()
        tables.set_block_cache(self._cache)
        # Filters stay outside the cache: in it, one of 4 MB fits no shard and is read
        # from disk for every lookup.
        tables.set_bloom_filter(10, block_based=False)
        return tables


class Family(NamedTuple):
    """A column family: to read by, and to write by."""

    rows: Rdict
    handle: ColumnFamily


class Store:
    """A RocksDB directory that belongs to ``identity``.

    Everything raises ``OperatorError`` where the disk does not do its part, and
    ``Untrusted`` where the store itself is wrong; it then stays so for the next ``Store``.
    """

    def __init__(self, directory: Path, identity: bytes, buffers: Buffers) -> None:
        self._directory = directory
        self._buffers = buffers
        self._unlogged = WriteOptions()
        # A property, whatever its stub says.
        self._unlogged.disable_wal = True  # type: ignore[method-assign,assignment]
        is_new = not any(directory.iterdir())
        _require_trust(directory)
        self._rows, names = self._opened(is_new=is_new)
        self._buffers.enter()
        self.families = {name: self._family(name) for name in names}
        try:
            self._introduce(identity, is_new=is_new)
        except OperatorError:
            self.close()
            raise

    def _opened(self, *, is_new: bool) -> tuple[Rdict, list[str]]:
        path, buffers = str(self._directory), self._buffers
        try:
            names = [] if is_new else [name for name in Rdict.list_cf(path) if name != "default"]
            return Rdict(path, buffers.options(), {n: buffers.options() for n in names}), names
        except Exception as error:  # RocksDB's errors have no class of their own
            raise self._told(error) from error

    def _family(self, name: str) -> Family:
        rows = self._rows.get_column_family(name)
        return Family(rows, self._rows.get_column_family_handle(name))

    def _introduce(self, identity: bytes, *, is_new: bool) -> None:
        if is_new:
            batch = WriteBatch(raw_mode=True)
            batch.put(_IDENTITY, identity)
            self.write(batch)
            self.flush()
        elif (found := self.get(_IDENTITY)) != identity:
            raise Untrusted(f"it is of {(found or b'nobody').decode(errors='replace')}")

    def get(self, key: bytes) -> bytes | None:
        """Return a value of the default family."""
        return self.find(self._rows, key)

    def find(self, rows: Rdict, key: bytes) -> bytes | None:
        try:
            found: bytes | None = rows.get(key)
        except Exception as error:
            raise self._told(error) from error
        return found

    def range(self, first: bytes, rows: Rdict | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values in order, from the key ``first`` on."""
        rows = rows or self._rows
        try:
            walk = rows.iter()
            walk.seek(first)
            while walk.valid():
                yield walk.key(), walk.value()
                walk.next()
            walk.status()  # A block that cannot be read looks like the end.
        except Exception as error:
            raise self._told(error) from error

    def write(self, batch: WriteBatch) -> None:
        """Write all of a batch, or raise."""
        try:
            self._rows.write(batch, self._unlogged)
        except Exception as error:
            raise self._told(error) from error

    def create(self, name: str) -> Family:
        """Add a column family."""
        try:
            rows = self._rows.create_column_family(name, self._buffers.options())
            family = Family(rows, self._rows.get_column_family_handle(name))
        except Exception as error:
            raise self._told(error) from error
        self.families[name] = family
        return family

    def drop(self, name: str) -> None:
        """Remove a column family with its files: nothing is read for that."""
        self.families.pop(name).rows.close()
        try:
            self._rows.drop_column_family(name)
        except Exception as error:
            raise self._told(error) from error

    def flush(self) -> None:
        """Put on disk what is in memory.

        The default family comes last: it says how far the others are.
        """
        try:
            for family in self.families.values():
                family.rows.flush()
            self._rows.flush()
        except Exception as error:
            raise self._told(error) from error

    def close(self) -> None:
        """Flush what there is, and let the directory go."""
        for name in list(self.families):
            self.families.pop(name).rows.close()
        self._rows.close()
        self._buffers.leave()

    def _told(self, error: Exception) -> OperatorError:
        why = " ".join(str(error).split())
        if _is_of_the_disk(why):
            return OperatorError(
                f"{self._directory} cannot be used ({why}): make room for it or give access, "
                "then start again; nothing is lost"
            )
        with suppress(OSError):  # Where it cannot be noted, it will be found again.
            (self._directory / _DISTRUSTED).write_text(why, "utf-8")
        return Untrusted(f"{why}; a start rebuilds {self._directory} from the topic state")


def _require_trust(directory: Path) -> None:
    try:
        reason = (directory / _DISTRUSTED).read_text("utf-8")
    except FileNotFoundError:
        return
    raise Untrusted(reason)


def _is_of_the_disk(why: str) -> bool:
    """Whether the disk is at fault, being full or read-only; a missing file is the store's."""
    return why.startswith("IO error") and "No such file" not in why

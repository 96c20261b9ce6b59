package bench.frames;

import java.util.List;
import java.util.Map;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** From raw topics to canonical ones, with what was told remembered in RocksDB. */
public final class FrameTopology {
  private static final String RAW = "raw";
  private static final String JUDGE = "judge";

  private FrameTopology() {}

  /** Where it reads and writes, and what it needs to do so. */
  public record Work(
      List<String> inputs,
      String events,
      String open,
      int schemaId,
      byte[] token,
      byte[] reference) {}

  /** Return the topology of one application. */
  public static Topology of(Work work) {
    ProcessorSupplier<byte[], byte[], byte[], byte[]> judge =
        () -> new Judge(mappers(work), work.schemaId());
    ByteArraySerializer bytes = new ByteArraySerializer();
    return new Topology()
        .addSource(
            RAW,
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer(),
            work.inputs().toArray(String[]::new))
        .addProcessor(JUDGE, judge, RAW)
        .addStateStore(store(Judge.FACTS), JUDGE)
        .addStateStore(store(Judge.ENTITIES), JUDGE)
        .addSink(Judge.EVENTS, work.events(), bytes, bytes, Partitions::ofEvent, JUDGE)
        .addSink(Judge.OPEN, work.open(), bytes, bytes, Partitions::ofOpen, JUDGE);
  }

  private static Map<String, Mapper> mappers(Work work) {
    Persons persons = new Persons("r1", work.reference());
    return Map.of(
        "assetpay", new AssetPay(persons),
        "paymium", new Paymium(),
        "pepay", new Pepay(persons),
        "satoriex", new SatoriEx(),
        "transak", new Transak(persons, "k1", work.token()));
  }

  private static StoreBuilder<?> store(String name) {
    return Stores.keyValueStoreBuilder(
        Stores.persistentKeyValueStore(name), Serdes.ByteArray(), Serdes.ByteArray());
  }
}

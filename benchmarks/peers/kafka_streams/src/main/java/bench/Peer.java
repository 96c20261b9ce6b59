package bench;

import java.io.InputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * What every Kafka Streams peer shares: its options, its configuration, and running until SIGTERM.
 *
 * <p>Exactly once (v2), one thread, and larger batches and polls than the defaults: what a team
 * that cares for CPU would set. Options are pairs of words, {@code --bootstrap host:port}.
 */
final class Peer {
  private final Map<String, String> options = new HashMap<>();

  Peer(String[] words) {
    for (int at = 0; at < words.length; at += 2) {
      options.put(words[at], words[at + 1]);
    }
  }

  String option(String name) {
    String value = options.get("--" + name);
    if (value == null) {
      throw new IllegalArgumentException("--" + name + " is missing");
    }
    return value;
  }

  List<String> inputs() {
    return Arrays.asList(option("inputs").split(","));
  }

  String output() {
    return option("output");
  }

  /** Returns a schema that lies in benchmarks/peers, {@code reference} for reference.avsc. */
  static Schema schema(String name) throws Exception {
    try (InputStream text = Peer.class.getResourceAsStream("/" + name + ".avsc")) {
      return new Schema.Parser().parse(text);
    }
  }

  void run(Topology topology) {
    KafkaStreams streams = new KafkaStreams(topology, configuration());
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
    streams.start();
  }

  private Properties configuration() {
    Properties all = new Properties();
    all.put(StreamsConfig.APPLICATION_ID_CONFIG, option("application"));
    all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, option("bootstrap"));
    all.put(StreamsConfig.STATE_DIR_CONFIG, option("state"));
    all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, option("commit-ms"));
    all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, option("threads"));
    all.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    all.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    all.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    all.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    all.put(StreamsConfig.consumerPrefix("max.poll.records"), "2000");
    all.put(StreamsConfig.producerPrefix("linger.ms"), option("linger-ms"));
    all.put(StreamsConfig.producerPrefix("batch.size"), "262144");
    return all;
  }
}

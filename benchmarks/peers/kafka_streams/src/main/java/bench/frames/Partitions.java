package bench.frames;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Set;
import java.util.zip.CRC32;

/** Where records lie: CRC-32 of their key, and on {@code open} of their account. */
final class Partitions {
  private Partitions() {}

  static Optional<Set<Integer>> ofEvent(String topic, byte[] key, byte[] value, int count) {
    return Optional.of(Set.of(of(key, count)));
  }

  static Optional<Set<Integer>> ofOpen(String topic, byte[] key, byte[] value, int count) {
    String account = new String(key, StandardCharsets.UTF_8).split("/", 3)[1];
    return Optional.of(Set.of(of(Envelope.bytes(account), count)));
  }

  private static int of(byte[] key, int count) {
    CRC32 sum = new CRC32();
    sum.update(key);
    return (int) (sum.getValue() % count);
  }
}

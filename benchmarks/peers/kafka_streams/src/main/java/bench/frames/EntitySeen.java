package bench.frames;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What is remembered of an entity. */
final class EntitySeen {
  private static final List<String> STATUSES =
      List.of(
          "created",
          "pending",
          "processing",
          "on_hold",
          "completed",
          "failed",
          "declined",
          "cancelled",
          "expired",
          "refunded",
          "reversed",
          "unknown",
          "open",
          "partially_filled",
          "filled");
  private static final int HEAD = 4 + 2 + 16 + 1 + 4 + 8 + 1;
  private static final int TOLD = 1 + Hashes.STAKES;

  int sequence;
  Version version;
  int rank;
  boolean isFinal = true;
  long touchedAt;
  byte[] observed = new byte[Hashes.STAKES];

  /** Status told before, and the stakes last told with it. */
  final Map<String, byte[]> stakes = new LinkedHashMap<>();

  /** Return whether a fact is older than what this entity told; equal is not. */
  boolean isNewerThan(Statement fact) {
    if (version != null && fact.version != null) {
      int order = fact.version.compareTo(version);
      return order != 0 ? order < 0 : fact.rank < rank;
    }
    return fact.rank < rank;
  }

  /** Return what a ledger posts on, of a fact that this entity has not told yet. */
  String change(String status, byte[] told) {
    byte[] before = stakes.get(status);
    if (before == null) {
      return "status";
    }
    return Arrays.equals(before, told) ? "none" : "stakes";
  }

  /** Take a fact in. */
  void tell(Statement fact, byte[] told, long receivedAt) {
    if (sequence == 0 || !isNewerThan(fact)) {
      version = fact.version == null ? version : fact.version;
      rank = fact.rank;
      isFinal = fact.isFinal;
    }
    sequence++;
    touchedAt = receivedAt / 1_000_000;
    stakes.put(fact.status, told);
  }

  /** Take an observation in. */
  void observe(byte[] payload, long receivedAt) {
    observed = payload;
    touchedAt = receivedAt / 1_000_000;
  }

  byte[] packed() {
    ByteBuffer bytes = ByteBuffer.allocate(HEAD + TOLD * stakes.size());
    bytes.putInt(sequence).put((byte) (version == null ? 0 : 1)).put((byte) (isFinal ? 1 : 0));
    bytes.putLong(version == null ? 0 : version.major());
    bytes.putLong(version == null ? 0 : version.minor());
    bytes.put((byte) rank).putInt((int) touchedAt).put(observed).put((byte) stakes.size());
    stakes.forEach(
        (status, told) -> bytes.put((byte) STATUSES.indexOf(status)).put(told));
    return bytes.array();
  }

  static EntitySeen unpacked(byte[] packed) {
    ByteBuffer bytes = ByteBuffer.wrap(packed);
    EntitySeen entity = new EntitySeen();
    entity.sequence = bytes.getInt();
    boolean hasVersion = bytes.get() == 1;
    entity.isFinal = bytes.get() == 1;
    Version version = new Version(bytes.getLong(), bytes.getLong());
    entity.version = hasVersion ? version : null;
    entity.rank = bytes.get();
    entity.touchedAt = bytes.getInt();
    bytes.get(entity.observed);
    for (int left = bytes.get(); left > 0; left--) {
      String status = STATUSES.get(bytes.get());
      byte[] told = new byte[Hashes.STAKES];
      bytes.get(told);
      entity.stakes.put(status, told);
    }
    return entity;
  }
}

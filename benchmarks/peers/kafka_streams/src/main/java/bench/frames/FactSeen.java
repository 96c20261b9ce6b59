package bench.frames;

import java.nio.ByteBuffer;

/** What is remembered of a fact or an observation; in the store it takes 24 bytes. */
record FactSeen(byte[] stakes, int recipe, boolean isFact, long receivedAt, long offset) {
  private static final int SIZE = Hashes.STAKES + 2 + 6 + 8;

  byte[] packed() {
    return ByteBuffer.allocate(SIZE)
        .put(stakes)
        .put((byte) recipe)
        .put((byte) (isFact ? 1 : 0))
        .putShort((short) 0)
        .putInt((int) (receivedAt / 10_000))
        .putLong(offset)
        .array();
  }

  /** Return the stakes that a packed fact was told with. */
  static ByteBuffer stakes(byte[] packed) {
    return ByteBuffer.wrap(packed, 0, Hashes.STAKES);
  }

  static int recipe(byte[] packed) {
    return packed[Hashes.STAKES];
  }
}

package bench.frames;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** One frame in its place: the provider's bytes, and what the headers say of them. */
record Raw(
    String provider,
    String account,
    String environment,
    String connection,
    String sequence,
    long receivedAt,
    byte[] value,
    RecordMetadata position) {

  static Raw of(Headers headers, byte[] value, RecordMetadata position) {
    require(headers, "kind", "frame");
    require(headers, "via", "socket");
    return new Raw(
        text(headers, "provider"),
        text(headers, "account"),
        text(headers, "environment"),
        text(headers, "connection"),
        text(headers, "sequence"),
        Long.parseLong(text(headers, "received_at")),
        value,
        position);
  }

  private static void require(Headers headers, String name, String expected) {
    if (!text(headers, name).equals(expected)) {
      throw new Unknown(name + " " + text(headers, name));
    }
  }

  private static String text(Headers headers, String name) {
    Header header = headers.lastHeader(name);
    if (header == null) {
      throw new Unknown("record without header " + name);
    }
    return new String(header.value(), StandardCharsets.UTF_8);
  }
}

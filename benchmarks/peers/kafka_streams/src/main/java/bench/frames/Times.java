package bench.frames;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;

/** Times: microseconds since the epoch, UTC. */
final class Times {
  private static final DateTimeFormatter MILLIS =
      new DateTimeFormatterBuilder().appendInstant(3).toFormatter();
  private static final DateTimeFormatter MICROS =
      new DateTimeFormatterBuilder().appendInstant(6).toFormatter();
  private static final long MILLION = 1_000_000;
  private static final long LAST = 1L << 52;

  private Times() {}

  /** Return a time that is told as ISO 8601, or null. */
  static Long micros(JsonNode object, String name) {
    String told = Json.text(object, name);
    return told == null ? null : micros(told);
  }

  static long micros(String text) {
    Instant time = Instant.parse(text);
    return within(time.getEpochSecond() * MILLION + time.getNano() / 1000);
  }

  static long ofSeconds(long seconds) {
    return within(seconds * MILLION);
  }

  private static long within(long micros) {
    if (micros < 0 || micros >= LAST) {
      throw new Invalid("time: expected one between 1970 and 2112");
    }
    return micros;
  }

  /** Return a time for an id: with milliseconds and {@code Z}. */
  static String millisText(long micros) {
    return MILLIS.format(instant(micros));
  }

  /** Return a time as RFC 3339, with microseconds. */
  static String microsText(long micros) {
    return MICROS.format(instant(micros));
  }

  static long now() {
    return System.currentTimeMillis() * 1000;
  }

  private static Instant instant(long micros) {
    return Instant.ofEpochSecond(micros / MILLION, micros % MILLION * 1000);
  }
}

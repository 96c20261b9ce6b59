package bench.frames;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.math.BigDecimal;

/** JSON as trees, numbers with the provider's own digits. */
final class Json {
  static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
          .build();

  private Json() {}

  static JsonNode tree(byte[] json, int from) throws IOException {
    try (JsonParser parser = MAPPER.createParser(json, from, json.length - from)) {
      return MAPPER.readTree(parser);
    }
  }

  static JsonNode tree(byte[] json) throws IOException {
    return tree(json, 0);
  }

  /** Return a text, or null where it is missing or null. */
  static String text(JsonNode object, String name) {
    JsonNode found = object.get(name);
    return found == null || found.isNull() ? null : found.textValue();
  }

  /** Return a text that must be there. */
  static String word(JsonNode object, String name) {
    String found = text(object, name);
    if (found == null || found.isEmpty()) {
      throw new Invalid(name + ": expected text, found none");
    }
    return found;
  }

  /** Return the first text that was told under one of these names, or null. */
  static String first(JsonNode object, String... names) {
    for (String name : names) {
      String found = text(object, name);
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  /** Return a number, told as one or as text, or null. */
  static BigDecimal decimal(JsonNode object, String name) {
    JsonNode found = object.get(name);
    if (found == null || found.isNull()) {
      return null;
    }
    return decimal(found);
  }

  static BigDecimal decimal(JsonNode number) {
    return number.isTextual() ? new BigDecimal(number.textValue()) : number.decimalValue();
  }
}

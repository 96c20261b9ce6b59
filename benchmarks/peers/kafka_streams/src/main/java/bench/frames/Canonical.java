package bench.frames;

import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;

/** Empty records of the types of {@code event.avsc}. */
final class Canonical {
  private static final Map<String, GenericData.Record> EMPTY = new HashMap<>();

  static {
    collect(schema());
  }

  private Canonical() {}

  /** Return a record of a type, such as {@code Transfer}: nothing set, its lists empty. */
  static GenericRecord record(String type) {
    return new GenericData.Record(EMPTY.get(type), false);
  }

  private static Schema schema() {
    try (InputStream text = Canonical.class.getResourceAsStream("/event.avsc")) {
      return new Schema.Parser().parse(text);
    } catch (IOException error) {
      throw new ExceptionInInitializerError(error);
    }
  }

  private static void collect(Schema schema) {
    switch (schema.getType()) {
      case RECORD -> {
        if (EMPTY.putIfAbsent(schema.getName(), empty(schema)) == null) {
          schema.getFields().forEach(field -> collect(field.schema()));
        }
      }
      case UNION -> schema.getTypes().forEach(Canonical::collect);
      case ARRAY -> collect(schema.getElementType());
      default -> {}
    }
  }

  private static GenericData.Record empty(Schema schema) {
    GenericData.Record record = new GenericData.Record(schema);
    for (Schema.Field field : schema.getFields()) {
      if (field.schema().getType() == Schema.Type.ARRAY) {
        record.put(field.pos(), List.of());
      }
    }
    return record;
  }
}

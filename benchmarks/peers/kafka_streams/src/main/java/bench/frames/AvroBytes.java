package bench.frames;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;

/** Records as bytes; an instance belongs to one thread. */
final class AvroBytes {
  private final byte[] confluent;
  private final Map<Schema, GenericDatumWriter<GenericRecord>> writers = new HashMap<>();
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
  private BinaryEncoder encoder;

  AvroBytes(int schemaId) {
    confluent = ByteBuffer.allocate(5).put((byte) 0).putInt(schemaId).array();
  }

  /** Return an event in Confluent's wire format. */
  byte[] event(GenericRecord event) {
    bytes.reset();
    bytes.writeBytes(confluent);
    return written(event);
  }

  /** Return a payload alone. */
  byte[] payload(GenericRecord payload) {
    bytes.reset();
    return written(payload);
  }

  private byte[] written(GenericRecord record) {
    encoder = EncoderFactory.get().binaryEncoder(bytes, encoder);
    try {
      writers
          .computeIfAbsent(record.getSchema(), GenericDatumWriter::new)
          .write(record, encoder);
      encoder.flush();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return bytes.toByteArray();
  }
}

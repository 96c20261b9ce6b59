package bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The reference work of work.py: 600 B of JSON, once, as an Avro record of 21 fields. */
public final class Reference {
  private static final String SEEN = "seen";
  private static final byte[] TOLD = {1};
  private static final byte[] CONFLUENT = {0, 0, 0, 4, (byte) 0xd2};
  private static final long INGESTED_AT = 1732000000999999L;

  public static void main(String[] words) throws Exception {
    Peer peer = new Peer(words);
    Schema schema = Peer.schema("reference");
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(SEEN), Serdes.ByteArray(), Serdes.ByteArray()));
    ProcessorSupplier<byte[], byte[], byte[], byte[]> once = () -> new Once(schema);
    builder.<byte[], byte[]>stream(peer.inputs()).process(once, SEEN).to(peer.output());
    peer.run(builder.build());
  }

  private static final class Once implements Processor<byte[], byte[], byte[], byte[]> {
    private final ObjectMapper json = new ObjectMapper();
    private final Schema schema;
    private final Schema status;
    private final GenericDatumWriter<GenericRecord> writer;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    private BinaryEncoder encoder;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> seen;

    Once(Schema schema) {
      this.schema = schema;
      this.status = schema.getField("status").schema();
      this.writer = new GenericDatumWriter<>(schema);
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.seen = context.getStateStore(SEEN);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      try {
        JsonNode told = json.readTree(record.value());
        String id = told.get("id").textValue();
        if (seen.putIfAbsent(packed(id), TOLD) == null) {
          byte[] key = id.getBytes(StandardCharsets.UTF_8);
          context.forward(record.withKey(key).withValue(encoded(event(told))));
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    private static byte[] packed(String id) {
      UUID uuid = UUID.fromString(id);
      return ByteBuffer.allocate(16)
          .putLong(uuid.getMostSignificantBits())
          .putLong(uuid.getLeastSignificantBits())
          .array();
    }

    private GenericRecord event(JsonNode told) {
      GenericRecord event = new GenericData.Record(schema);
      event.put("event_id", told.get("id").textValue());
      event.put("source", told.get("src").textValue());
      event.put("event_type", told.get("type").textValue());
      event.put("occurred_at", told.get("ts").longValue());
      event.put("ingested_at", INGESTED_AT);
      event.put("account_id", told.get("acct").textValue());
      event.put("customer_id", told.get("cust").textValue());
      event.put("currency", told.get("ccy").textValue());
      event.put("amount", decimal(told.get("amount")));
      event.put("fee", decimal(told.get("fee")));
      event.put("tax", decimal(told.get("tax")));
      event.put("rate", decimal(told.get("rate")));
      event.put("status", new GenericData.EnumSymbol(status, told.get("status").textValue()));
      event.put("country", told.get("country").textValue());
      event.put("channel", told.get("channel").textValue());
      event.put("merchant", told.get("merchant").textValue());
      event.put("reference", told.get("ref").textValue());
      event.put("sequence", told.get("seq").longValue());
      event.put("is_test", told.get("test").booleanValue());
      event.put("version", told.get("v").intValue());
      event.put("tags", texts(told.get("tags")));
      return event;
    }

    private static ByteBuffer decimal(JsonNode told) {
      return ByteBuffer.wrap(
          new BigDecimal(told.textValue()).setScale(9).unscaledValue().toByteArray());
    }

    private static List<String> texts(JsonNode told) {
      List<String> texts = new ArrayList<>(told.size());
      for (JsonNode text : told) {
        texts.add(text.textValue());
      }
      return texts;
    }

    private byte[] encoded(GenericRecord event) throws IOException {
      bytes.reset();
      bytes.write(CONFLUENT);
      encoder = EncoderFactory.get().binaryEncoder(bytes, encoder);
      writer.write(event, encoder);
      encoder.flush();
      return bytes.toByteArray();
    }
  }
}

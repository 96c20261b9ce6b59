import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints every event of `events` as one line of JSON, each field in the schema's order. Copy it.
 *
 * Usage: Events BOOTSTRAP_SERVERS REGISTRY_URL [TOPIC [COUNT]]; without COUNT it goes on for ever.
 */
public final class Events {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);
    private static final JsonFactory JSON =
            JsonFactory.builder().disable(JsonWriteFeature.WRITE_HEX_UPPER_CASE).build();

    public static void main(String[] given) throws IOException {
        // Without these an amount is a ByteBuffer and a time a long.
        GenericData.get().addLogicalTypeConversion(new Conversions.DecimalConversion());
        GenericData.get().addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
        String topic = given.length > 2 ? given[2] : "events";
        long left = given.length > 3 ? Long.parseLong(given[3]) : Long.MAX_VALUE;
        try (var consumer = new KafkaConsumer<String, GenericRecord>(settings(given[0], given[1]))) {
            consumer.subscribe(List.of(topic));
            while (left > 0) {
                for (var told : consumer.poll(Duration.ofSeconds(1))) {
                    if (left-- <= 0) break;
                    System.out.write((line(told.value()) + "\n").getBytes(StandardCharsets.UTF_8));
                }
            }
            System.out.flush();
        }
    }

    private static Map<String, Object> settings(String servers, String registry) {
        return Map.of(
                "bootstrap.servers", servers,
                "group.id", "example-java",
                "auto.offset.reset", "earliest",
                "isolation.level", "read_committed",
                "key.deserializer", StringDeserializer.class.getName(),
                "value.deserializer", AvroKafkaDeserializer.class.getName(),
                // Apicurio's own API lies beside the one for Confluent's clients.
                "apicurio.registry.url", registry.replace("/apis/ccompat/v7", "/apis/registry/v2"),
                // A record begins with a zero and the id in four bytes, as Confluent has it.
                "apicurio.registry.as-confluent", "true",
                "apicurio.registry.use-id", "contentId");
    }

    private static String line(GenericRecord event) throws IOException {
        var text = new StringWriter();
        try (var json = JSON.createGenerator(text)) {
            write(json, event);
        }
        return text.toString();
    }

    private static void write(JsonGenerator json, Object value) throws IOException {
        if (value == null) {
            json.writeNull();
        } else if (value instanceof GenericRecord record) {
            json.writeStartObject();
            for (Schema.Field field : record.getSchema().getFields()) {
                json.writeFieldName(field.name());
                write(json, record.get(field.pos()));
            }
            json.writeEndObject();
        } else if (value instanceof Collection<?> items) {
            json.writeStartArray();
            for (Object item : items) write(json, item);
            json.writeEndArray();
        } else if (value instanceof BigDecimal amount) {
            json.writeString(amount.toPlainString());
        } else if (value instanceof Instant time) {
            json.writeString(TIME.format(time));
        } else if (value instanceof Boolean flag) {
            json.writeBoolean(flag);
        } else if (value instanceof Number number) {
            json.writeNumber(number.longValue());
        } else {
            json.writeString(value.toString());
        }
    }
}

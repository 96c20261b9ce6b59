package bench.frames;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Open, map, judge, encode: the rules of identity, conflict, change and staleness. */
final class Judge implements Processor<byte[], byte[], byte[], byte[]> {
  static final String FACTS = "facts";
  static final String ENTITIES = "entities";
  static final String EVENTS = "events";
  static final String OPEN = "open";
  private static final long HORIZON = 400L * 86_400 * 1_000_000;

  private final Map<String, Mapper> mappers;
  private final AvroBytes avro;
  private final Hashes hashes = new Hashes();
  private ProcessorContext<byte[], byte[]> context;
  private KeyValueStore<byte[], byte[]> facts;
  private KeyValueStore<byte[], byte[]> entities;

  /** Make one for a task. */
  Judge(Map<String, Mapper> mappers, int schemaId) {
    this.mappers = mappers;
    this.avro = new AvroBytes(schemaId);
  }

  @Override
  public void init(ProcessorContext<byte[], byte[]> context) {
    this.context = context;
    this.facts = context.getStateStore(FACTS);
    this.entities = context.getStateStore(ENTITIES);
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    Raw raw = Raw.of(record.headers(), record.value(), context.recordMetadata().orElseThrow());
    Mapper mapper = mappers.get(raw.provider());
    if (mapper == null) {
      throw new Unknown("provider " + raw.provider());
    }
    String sha256 = hashes.evidence(raw.value());
    try {
      List<Part> parts = mapper.parts(raw);
      for (int index = 0; index < parts.size(); index++) {
        tell(new Frame(raw, sha256, record.timestamp()), parts.get(index), index);
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** A raw record, and what each event of it repeats. */
  private record Frame(Raw raw, String sha256, long timestamp) {}

  private void tell(Frame frame, Part part, int index) {
    List<Statement> statements = part.statements();
    for (int number = 0; number < statements.size(); number++) {
      Statement statement = statements.get(number);
      if (statement.identity == null) {
        tellObservation(frame, part, statement, number == 0 ? "" + index : index + "." + number);
      } else {
        tellFact(frame, part, statement);
      }
    }
  }

  private void tellFact(Frame frame, Part part, Statement fact) {
    Raw raw = frame.raw;
    String id = named(raw, fact.identity);
    byte[] key = hashes.key(id);
    byte[] stakes = hashes.stakes(fact.stakes);
    byte[] seen = facts.get(key);
    if (seen != null) {
      hold(id, seen, fact, stakes);
      return;
    }
    byte[] entityKey = entityKey(raw, fact);
    byte[] packed = entities.get(entityKey);
    EntitySeen entity = packed == null ? new EntitySeen() : EntitySeen.unpacked(packed);
    boolean isNew = packed == null;
    boolean wasOpen = !entity.isFinal;
    Place place =
        new Place(
            id,
            occurredAt(raw, fact),
            entity.sequence + 1L,
            !isNew && entity.isNewerThan(fact),
            isNew ? "status" : entity.change(fact.status, stakes));
    publish(frame, part, fact, place);
    entity.tell(fact, stakes, raw.receivedAt());
    if (wasOpen == entity.isFinal) {
      turn(frame, fact, place, entity.isFinal);
    }
    entities.put(entityKey, entity.packed());
    facts.put(key, remembered(raw, fact, stakes, true));
  }

  /** Hold a fact that is told again against what was told before. */
  private static void hold(String id, byte[] seen, Statement fact, byte[] stakes) {
    boolean isComparable = FactSeen.recipe(seen) == fact.recipe;
    if (isComparable && !FactSeen.stakes(seen).equals(ByteBuffer.wrap(stakes))) {
      throw new Unknown("conflict of " + id);
    }
  }

  private void tellObservation(Frame frame, Part part, Statement reading, String number) {
    Raw raw = frame.raw;
    String id = named(raw, List.of(raw.connection(), raw.sequence(), number));
    byte[] key = hashes.key(id);
    if (facts.get(key) != null) {
      return;
    }
    byte[] entityKey = entityKey(raw, reading);
    byte[] packed = entities.get(entityKey);
    EntitySeen entity = packed == null ? new EntitySeen() : EntitySeen.unpacked(packed);
    byte[] observed = hashes.cut(avro.payload(reading.payload), Hashes.STAKES);
    publish(frame, part, reading, new Place(id, occurredAt(raw, reading), 0, false, "none"));
    entity.observe(observed, raw.receivedAt());
    entities.put(entityKey, entity.packed());
    facts.put(key, remembered(raw, reading, observed, false));
  }

  private static byte[] remembered(Raw raw, Statement told, byte[] stakes, boolean isFact) {
    long offset = raw.position().offset();
    return new FactSeen(stakes, told.recipe, isFact, raw.receivedAt(), offset).packed();
  }

  private static String named(Raw raw, List<String> parts) {
    List<String> all = new ArrayList<>(2 + parts.size());
    all.add(raw.provider());
    all.add(raw.account());
    all.addAll(parts);
    return Ids.joined(all);
  }

  private byte[] entityKey(Raw raw, Statement told) {
    return hashes.key(named(raw, List.of(told.entityKind, told.entityId)));
  }

  private static long occurredAt(Raw raw, Statement told) {
    if (told.occurredAt == null) {
      return raw.receivedAt();
    }
    if (raw.receivedAt() - told.occurredAt > HORIZON) {
      throw new Unknown("something beyond the horizon");
    }
    return told.occurredAt;
  }

  private void publish(Frame frame, Part part, Statement told, Place place) {
    byte[] value = avro.event(Envelope.event(frame.raw, frame.sha256, part, told, place));
    context.forward(
        new Record<>(
            key(frame.raw, told),
            value,
            frame.timestamp,
            Envelope.headers(frame.raw, told, place)),
        EVENTS);
  }

  /** Tell {@code open} that an entity opened, or closed. */
  private void turn(Frame frame, Statement fact, Place place, boolean isFinal) {
    byte[] value = isFinal ? null : opened(frame.raw, fact, place);
    byte[] key = key(frame.raw, fact);
    context.forward(new Record<>(key, value, frame.timestamp, new RecordHeaders()), OPEN);
  }

  private static byte[] opened(Raw raw, Statement fact, Place place) {
    ObjectNode entity =
        Json.MAPPER
            .createObjectNode()
            .put("provider", raw.provider())
            .put("account", raw.account())
            .put("entity_kind", fact.entityKind)
            .put("entity_id", fact.entityId)
            .put("status", fact.status)
            .put("since", place.occurredAt());
    try {
      return Json.MAPPER.writeValueAsBytes(entity);
    } catch (JsonProcessingException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static byte[] key(Raw raw, Statement told) {
    return Envelope.bytes(
        raw.provider() + "/" + raw.account() + "/" + told.entityKind + "/" + told.entityId);
  }
}

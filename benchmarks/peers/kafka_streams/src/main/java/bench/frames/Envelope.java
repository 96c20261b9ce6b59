package bench.frames;

import java.nio.charset.StandardCharsets;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;

/** A statement in canonical form, and what a consumer can route by without decoding it. */
final class Envelope {
  private static final byte[] SPECIFICATION = bytes("1.0");
  private static final byte[] AVRO = bytes("application/avro");

  private Envelope() {}

  static GenericRecord event(
      Raw raw, String sha256, Part part, Statement statement, Place place) {
    GenericRecord event = Canonical.record("Event");
    event.put("id", place.id());
    event.put("type", statement.field + "." + statement.action);
    event.put("is_fact", statement.identity != null);
    event.put("provider", raw.provider());
    event.put("account", raw.account());
    event.put("environment", raw.environment());
    event.put("provider_type", statement.providerType);
    event.put("entity_kind", statement.entityKind);
    event.put("entity_id", statement.entityId);
    event.put("group", statement.group);
    event.put("entity_sequence", place.sequence());
    event.put("is_stale", place.isStale());
    event.put("change", place.change());
    event.put("authority", part.authority());
    event.put("occurred_at", place.occurredAt());
    event.put("time_source", statement.occurredAt == null ? "received" : "provider");
    event.put("received_at", raw.receivedAt());
    event.put("published_at", Times.now());
    event.put("via", "socket");
    event.put("evidence", evidence(raw, sha256, part));
    event.put("mapper", raw.provider() + "@1");
    event.put(statement.field, statement.payload);
    return event;
  }

  private static GenericRecord evidence(Raw raw, String sha256, Part part) {
    GenericRecord evidence = Canonical.record("Evidence");
    evidence.put("topic", raw.position().topic());
    evidence.put("partition", raw.position().partition());
    evidence.put("offset", raw.position().offset());
    evidence.put("part", part.pointer());
    evidence.put("sha256", sha256);
    evidence.put("verified", part.verified());
    return evidence;
  }

  /** Return the headers of CloudEvents. */
  static Headers headers(Raw raw, Statement statement, Place place) {
    return new RecordHeaders()
        .add("ce_specversion", SPECIFICATION)
        .add("ce_id", bytes(place.id()))
        .add("ce_type", bytes(statement.field + "." + statement.action))
        .add("ce_source", bytes("/" + raw.provider() + "/" + raw.account()))
        .add("ce_time", bytes(Times.microsText(place.occurredAt())))
        .add("content-type", AVRO);
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}

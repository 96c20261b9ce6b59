package bench.frames;

import java.util.List;
import org.apache.avro.generic.GenericRecord;

/** What one part says about one entity, before anyone asked whether it is new. */
final class Statement {
  final String field;
  final GenericRecord payload;
  final String action;
  final String providerType;
  final String entityKind;
  final String entityId;
  List<String> identity;
  String group;
  Long occurredAt;
  String status = "unknown";
  Version version;
  int rank;
  boolean isFinal;
  Object[] stakes = {};
  int recipe = 1;

  Statement(
      String field,
      GenericRecord payload,
      String action,
      String providerType,
      String entityKind,
      String entityId) {
    this.field = field;
    this.payload = payload;
    this.action = action;
    this.providerType = providerType;
    this.entityKind = entityKind;
    this.entityId = entityId;
  }

  /** Make it a fact: told again it is the same one. */
  Statement identity(String... parts) {
    identity = List.of(parts);
    return this;
  }

  Statement group(String told) {
    group = told;
    return this;
  }

  /** Say when it happened; null where the provider does not tell. */
  Statement occurredAt(Long time) {
    occurredAt = time;
    return this;
  }

  Statement standing(Standing standing, int firstFinal) {
    status = standing.status();
    rank = standing.rank();
    isFinal = rank >= firstFinal;
    return this;
  }

  Statement version(Version told) {
    version = told;
    return this;
  }

  /** Say that nothing follows. */
  Statement last() {
    isFinal = true;
    return this;
  }

  /** Say what a ledger posts on: texts, {@code BigDecimal}s and nulls. */
  Statement stakes(Object... told) {
    stakes = told;
    return this;
  }

  Statement recipe(int number) {
    recipe = number;
    return this;
  }
}

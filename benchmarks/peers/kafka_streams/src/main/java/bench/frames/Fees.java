package bench.frames;

import java.util.List;
import org.apache.avro.generic.GenericRecord;

/** Fees by the provider's names. */
final class Fees {
  private Fees() {}

  /** Add a fee that was told. */
  static void add(List<GenericRecord> fees, String name, Money money) {
    if (money == null) {
      return;
    }
    GenericRecord fee = Canonical.record("Fee");
    fee.put("name", name);
    fee.put("money", Money.record(money));
    fees.add(fee);
  }
}

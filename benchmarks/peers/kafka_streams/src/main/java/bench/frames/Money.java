package bench.frames;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.util.Locale;
import org.apache.avro.generic.GenericRecord;

/** An exact amount of one currency; null amount where its unit is not known. */
record Money(BigDecimal amount, String currency, String exact) {
  private static final int SCALE = 18;
  private static final int DIGITS = 20;
  private static final int LONGEST = 128;

  /** Return an amount that may not be negative, or null for null. */
  static Money of(BigDecimal amount, String currency) {
    return of(amount, currency, false);
  }

  static Money signed(BigDecimal amount, String currency) {
    return of(amount, currency, true);
  }

  private static Money of(BigDecimal amount, String currency, boolean signed) {
    if (amount == null) {
      return null;
    }
    check(amount, signed);
    String symbol = currency.toUpperCase(Locale.ROOT);
    if (amount.scale() <= SCALE) {
      return new Money(amount, symbol, null);
    }
    BigDecimal rounded = amount.setScale(SCALE, RoundingMode.HALF_EVEN);
    check(rounded, signed);
    String exact = rounded.compareTo(amount) == 0 ? null : amount.toPlainString();
    return new Money(rounded, symbol, exact);
  }

  /** Return an amount whose unit nobody documents: digits alone. */
  static Money unsized(BigDecimal amount, String currency) {
    Money told = of(amount, currency);
    return told == null ? null : new Money(null, told.currency, amount.toPlainString());
  }

  /** Return a rate that the provider computed: its digits as plain decimal. */
  static String rate(BigDecimal number) {
    if (number == null) {
      return null;
    }
    check(number, false);
    return number.toPlainString();
  }

  private static void check(BigDecimal amount, boolean signed) {
    if (amount.signum() != 0 && amount.precision() - amount.scale() > DIGITS) {
      throw new Invalid("amount: expected at most 20 integer digits, found more");
    }
    if (amount.scale() > LONGEST) {
      throw new Invalid("amount: expected at most 128 decimals, found more");
    }
    if (amount.signum() < 0 && !signed) {
      throw new Invalid("amount: expected 0 or more, found less");
    }
  }

  Money abs() {
    return new Money(amount.abs(), currency, exact);
  }

  /** Return what a ledger posts of an amount, null where none was told. */
  static BigDecimal stake(Money told) {
    return told == null ? null : told.amount;
  }

  /** Return the Avro record of an amount, null for none. */
  static GenericRecord record(Money told) {
    if (told == null) {
      return null;
    }
    GenericRecord record = Canonical.record("Money");
    if (told.amount != null) {
      byte[] unscaled = told.amount.setScale(SCALE).unscaledValue().toByteArray();
      record.put("amount", ByteBuffer.wrap(unscaled));
    }
    record.put("currency", told.currency);
    record.put("exact", told.exact);
    return record;
  }
}

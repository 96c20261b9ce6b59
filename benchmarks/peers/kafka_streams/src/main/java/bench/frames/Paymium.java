package bench.frames;

import static java.util.Map.entry;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;

/** Paymium: orders and transfers, what they book, and balances. */
final class Paymium implements Mapper {
  private static final String BTC = "BTC";
  private static final int FIRST_FINAL = 4;
  private static final BigDecimal SATOSHIS = BigDecimal.TEN.pow(8);
  private static final BigDecimal MOST = BigDecimal.valueOf(1L << 62);

  private static final Map<String, String> STATES =
      Map.ofEntries(
          entry("pending_execution", "created"),
          entry("pending", "pending"),
          entry("authorized", "pending"),
          entry("pending_collection", "pending"),
          entry("processing", "processing"),
          entry("active", "processing"),
          entry("filled", "completed"),
          entry("executed", "completed"),
          entry("canceled", "cancelled"),
          entry("expired", "expired"));

  private static final Map<String, Integer> RANKS =
      Map.ofEntries(
          entry("unknown", 0),
          entry("created", 0),
          entry("pending", 1),
          entry("processing", 2),
          entry("open", 2),
          entry("partially_filled", 3),
          entry("completed", 4),
          entry("filled", 4),
          entry("cancelled", 4),
          entry("expired", 4));

  private static final Map<String, String> TRADES =
      Map.of("LimitOrder", "limit", "MarketOrder", "market");

  /** Method; and the direction, where the type tells it and not the sign of the amount. */
  private record Motion(String method, String direction) {}

  private static final Map<String, Motion> TRANSFERS =
      Map.of(
          "BitcoinTransfer", new Motion("crypto", null),
          "WireTransfer", new Motion("bank", null),
          "EmailTransfer", new Motion("internal", null),
          "BitcoinDeposit", new Motion("crypto", "in"),
          "WireDeposit", new Motion("bank", "in"));

  /** What an order became, and the amounts that a ledger posts on. */
  private record Read(String field, GenericRecord payload, String status, Money... amounts) {}

  @Override
  public List<Part> parts(Raw raw) throws IOException {
    SocketIo told = SocketIo.open(raw.value());
    JsonNode content = told.argument();
    if (!told.event().equals("stream")) {
      return List.of(older(told.event(), content, "/1"));
    }
    if (content.has("event") && content.has("payload")) {
      return List.of(older(Json.word(content, "event"), content.get("payload"), "/1/payload"));
    }
    List<Part> parts = new ArrayList<>();
    for (Iterator<Map.Entry<String, JsonNode>> members = content.fields(); members.hasNext(); ) {
      Map.Entry<String, JsonNode> member = members.next();
      keyed(member.getKey(), member.getValue(), parts);
    }
    return parts;
  }

  private static void keyed(String key, JsonNode value, List<Part> parts) {
    if (key.startsWith("balance_") || key.startsWith("locked_")) {
      parts.add(Part.plain("/1/" + key, balance(key, value)));
      return;
    }
    if (!key.equals("orders")) {
      throw new Unknown("paymium " + key);
    }
    for (int index = 0; index < value.size(); index++) {
      parts.add(ordered("/1/orders/" + index, value.get(index), key));
    }
  }

  /** Return the part of the older form. */
  private static Part older(String event, JsonNode content, String pointer) throws IOException {
    if (!event.equals("order")) {
      throw new Unknown("paymium " + event);
    }
    boolean isText = content.isTextual();
    JsonNode order = isText ? Json.MAPPER.readTree(content.textValue()) : content;
    return ordered(pointer, order, event);
  }

  private static Statement balance(String key, JsonNode value) {
    boolean isLocked = key.startsWith("locked_");
    String currency = key.substring(key.indexOf('_') + 1).toUpperCase(Locale.ROOT);
    GenericRecord payload = Canonical.record("Balance");
    payload.put("currency", currency);
    payload.put(
        isLocked ? "locked" : "available", Money.record(Money.of(Json.decimal(value), currency)));
    return new Statement("balance", payload, "updated", key, "balance", currency);
  }

  private static Part ordered(String pointer, JsonNode order, String word) {
    JsonNode operations = order.get("account_operations");
    Statement[] statements = new Statement[1 + operations.size()];
    statements[0] = order(order, word);
    for (int index = 0; index < operations.size(); index++) {
      statements[index + 1] = posting(operations.get(index), Json.word(order, "uuid"), word);
    }
    return Part.plain(pointer, statements);
  }

  private static Statement order(JsonNode order, String word) {
    String id = Json.word(order, "uuid");
    String currency = Json.word(order, "currency");
    String state = Json.word(order, "state");
    BigDecimal btc = Json.decimal(order, "traded_btc");
    BigDecimal traded = Json.decimal(order, "traded_currency");
    long changedAt = Times.micros(Json.word(order, "updated_at"));
    Read read = ofItsType(order, currency, state, btc, traded);
    String status = read.status;
    Object[] stakes = new Object[3 + read.amounts.length];
    stakes[0] = status;
    stakes[1] = Json.text(order, "direction");
    stakes[2] = currency.toUpperCase(Locale.ROOT);
    for (int index = 0; index < read.amounts.length; index++) {
      stakes[index + 3] = Money.stake(read.amounts[index]);
    }
    return new Statement(read.field, read.payload, status, word, "order", id)
        .identity(
            "order",
            id,
            state,
            Times.millisText(changedAt),
            btc.toPlainString(),
            traded.toPlainString())
        .occurredAt(changedAt)
        .standing(new Standing(status, RANKS.get(status)), FIRST_FINAL)
        .version(new Version(changedAt, btc.multiply(SATOSHIS).min(MOST).longValue()))
        .stakes(stakes);
  }

  private static Read ofItsType(
      JsonNode order, String currency, String state, BigDecimal btc, BigDecimal traded) {
    String type = Json.word(order, "type");
    if (TRADES.containsKey(type)) {
      return trade(order, TRADES.get(type), currency, state, btc, traded);
    }
    if (TRANSFERS.containsKey(type)) {
      return transfer(order, TRANSFERS.get(type), currency, state);
    }
    throw new Unknown("paymium order of type " + type);
  }

  private static Read trade(
      JsonNode order,
      String orderType,
      String currency,
      String state,
      BigDecimal btc,
      BigDecimal traded) {
    Money asked = Money.of(Json.decimal(order, "amount"), BTC);
    Money askedCurrency = Money.of(Json.decimal(order, "currency_amount"), currency);
    Money filled = Money.of(btc, BTC);
    Money worth = Money.of(traded, currency);
    Money btcFee = Money.of(Json.decimal(order, "btc_fee"), BTC);
    Money currencyFee = Money.of(Json.decimal(order, "currency_fee"), currency);
    String status = orderStatus(state, btc);

    GenericRecord payload = Canonical.record("Order");
    payload.put("market", BTC + "-" + currency.toUpperCase(Locale.ROOT));
    payload.put("side", Json.text(order, "direction"));
    payload.put("order_type", orderType);
    payload.put("status", status);
    payload.put("provider_status", state);
    payload.put("price", Money.record(Money.of(Json.decimal(order, "price"), currency)));
    payload.put("quantity", Money.record(asked == null ? askedCurrency : asked));
    payload.put("filled_quantity", Money.record(filled));
    payload.put("filled_amount", Money.record(worth));
    payload.put("fees", fees(btcFee, currencyFee));
    return new Read(
        "order", payload, status, asked, askedCurrency, filled, worth, btcFee, currencyFee);
  }

  private static List<GenericRecord> fees(Money btcFee, Money currencyFee) {
    List<GenericRecord> fees = new ArrayList<>(2);
    Fees.add(fees, "btc_fee", btcFee);
    Fees.add(fees, "currency_fee", currencyFee);
    return fees;
  }

  private static String orderStatus(String state, BigDecimal btc) {
    if (state.equals("active")) {
      return btc.signum() == 0 ? "open" : "partially_filled";
    }
    String status = STATES.getOrDefault(state, "unknown");
    return status.equals("completed") ? "filled" : status;
  }

  private static Read transfer(JsonNode order, Motion motion, String currency, String state) {
    BigDecimal inCurrency = Json.decimal(order, "currency_amount");
    BigDecimal moved = inCurrency == null ? Json.decimal(order, "amount") : inCurrency;
    Money gross = Money.signed(moved, currency).abs();
    boolean isBtc = currency.equalsIgnoreCase(BTC);
    Money fee = Money.of(Json.decimal(order, isBtc ? "btc_fee" : "currency_fee"), currency);
    String status = STATES.getOrDefault(state, "unknown");
    String bySign = moved.signum() < 0 ? "out" : "in";

    GenericRecord payload = Canonical.record("Transfer");
    payload.put("direction", motion.direction == null ? bySign : motion.direction);
    payload.put("method", motion.method);
    payload.put("status", status);
    payload.put("provider_status", state);
    payload.put("gross", Money.record(gross));
    payload.put("fee", Money.record(fee));
    payload.put("address", firstOf(order, "address"));
    payload.put("tx_hash", firstOf(order, "tx_hash"));
    return new Read("transfer", payload, status, gross, fee);
  }

  private static String firstOf(JsonNode order, String name) {
    for (JsonNode operation : order.get("account_operations")) {
      String told = Json.text(operation, name);
      if (told != null && !told.isEmpty()) {
        return told;
      }
    }
    return null;
  }

  private static Statement posting(JsonNode operation, String orderId, String word) {
    String id = Json.word(operation, "uuid");
    String currency = Json.word(operation, "currency");
    String name = Json.word(operation, "name");
    Money amount = Money.signed(Json.decimal(operation, "amount"), currency);

    GenericRecord payload = Canonical.record("Posting");
    payload.put("amount", Money.record(amount));
    payload.put("name", name);
    payload.put("order_id", orderId);
    payload.put("tx_hash", Json.text(operation, "tx_hash"));
    payload.put("address", Json.text(operation, "address"));
    return new Statement("posting", payload, "booked", word, "account_operation", id)
        .identity("account_operation", id)
        .group(orderId)
        .occurredAt(Times.micros(operation, "created_at"))
        .last()
        .stakes(name, currency.toUpperCase(Locale.ROOT), Money.stake(amount));
  }
}

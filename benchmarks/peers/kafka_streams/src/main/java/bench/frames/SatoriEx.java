package bench.frames;

import static java.util.Map.entry;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;

/** SatoriEx, a prediction market: orders, fills, trades, money, and words to a user. */
final class SatoriEx implements Mapper {
  private static final String USDC = "USDC";
  private static final String SHARES = "SHARES";
  private static final int FINAL = 3;
  private static final int FULL = 1;
  private static final int PARTIAL = 2;
  private static final BigDecimal WHOLE_SHARE = BigDecimal.valueOf(10_000);
  private static final BigDecimal MOST_SHARES = BigDecimal.valueOf(Long.MAX_VALUE);

  private static final Map<String, Standing> ORDERS =
      Map.of(
          "pending", new Standing("pending", 0),
          "open", new Standing("open", 1),
          "partial", new Standing("partially_filled", 2),
          "filled", new Standing("filled", 3),
          "cancelled", new Standing("cancelled", 3));

  private record Motion(String entityKind, String direction, String method, Standing standing) {}

  private static final Map<String, Motion> MOTIONS =
      Map.of(
          "deposit_confirmed", deposit("deposit", "crypto"),
          "withdraw_requested", withdrawal("created", 0),
          "withdraw_approved", withdrawal("processing", 1),
          "withdraw_submitted", withdrawal("pending", 2),
          "withdraw_rejected", withdrawal("declined", 3),
          "withdraw_confirmed", withdrawal("completed", 3),
          "withdraw_failed", withdrawal("failed", 3),
          "referral_bonus", deposit("referral", "internal"));

  private record Topic(String name, String decision) {}

  private static final Map<String, Topic> TOPICS =
      Map.ofEntries(
          entry("kyc_approved", new Topic("kyc", "approved")),
          entry("proposal_approved", new Topic("proposal", "approved")),
          entry("proposal_rejected", new Topic("proposal", "rejected")),
          entry("dispute_filed", new Topic("dispute", "filed")),
          entry("mention", new Topic("mention", null)),
          entry("comment", new Topic("comment", null)));

  private static Motion deposit(String entityKind, String method) {
    return new Motion(entityKind, "in", method, new Standing("completed", FINAL));
  }

  private static Motion withdrawal(String status, int rank) {
    return new Motion("withdrawal", "out", "crypto", new Standing(status, rank));
  }

  @Override
  public List<Part> parts(Raw raw) throws IOException {
    JsonNode message = Json.tree(raw.value());
    String kind = Json.word(message, "type");
    requirePlain(message, kind);
    return List.of(Part.plain("", statement(kind, message, raw.account())));
  }

  /** The other forms that are known, nested and in camelCase, are in no recording. */
  private static void requirePlain(JsonNode message, String kind) {
    for (Iterator<String> names = message.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (name.equals("payload") || name.equals("data") || !isLower(name)) {
        throw new Unknown("satoriex " + kind + " with " + name);
      }
    }
  }

  private static boolean isLower(String name) {
    return name.chars().noneMatch(Character::isUpperCase);
  }

  private static Statement statement(String kind, JsonNode message, String account) {
    if (MOTIONS.containsKey(kind)) {
      return transfer(kind, message, account);
    }
    if (TOPICS.containsKey(kind)) {
      return notice(kind, message, account);
    }
    return switch (kind) {
      case "trade" -> trade(message);
      case "order", "order_update" -> order(message, kind);
      case "order_filled" -> fill(message, kind);
      case "settlement" -> outcome(message, kind, "completed");
      case "market_resolved" -> outcome(message, kind, "resolved");
      case "wallet_changed" -> wallet(message, kind);
      default -> throw new Unknown("satoriex " + kind);
    };
  }

  private static Statement trade(JsonNode trade) {
    String market = Json.word(trade, "market_id");
    String id = Json.first(trade, "trade_id", "id");
    if (id == null) {
      throw new Unknown("satoriex trade without an id");
    }
    Long tradedAt = moment(trade, "created_at", "timestamp", "ts");
    BigDecimal price = Json.decimal(trade, "price");
    BigDecimal quantity = Json.decimal(trade, "quantity");

    GenericRecord payload = Canonical.record("MarketTrade");
    payload.put("market", market);
    payload.put("outcome", Json.text(trade, "outcome_id"));
    payload.put("side", side(trade));
    payload.put("price", price(price));
    payload.put("quantity", shares(quantity, BigDecimal.ONE));
    payload.put("trade_id", id);
    return new Statement("market_trade", payload, "executed", "trade", "market", market)
        .identity("trade", id)
        .occurredAt(tradedAt)
        .version(version(tradedAt))
        .last()
        .stakes(market, price, quantity);
  }

  private static Statement order(JsonNode order, String kind) {
    String id = Json.first(order, "order_id", "id");
    String word = Json.word(order, "status");
    Standing standing = ORDERS.getOrDefault(word, Standing.UNKNOWN);
    BigDecimal price = Json.decimal(order, "price");
    BigDecimal quantity = Json.decimal(order, "quantity");
    BigDecimal filled = Json.decimal(order, "filled_quantity");
    String side = side(order);
    Long changedAt = moment(order, "updated_at", "timestamp", "ts", "created_at");

    GenericRecord payload = Canonical.record("Order");
    payload.put("market", market(order));
    payload.put("outcome", Json.text(order, "outcome_id"));
    payload.put("side", side);
    payload.put("status", standing.status());
    payload.put("provider_status", word);
    payload.put("price", price(price));
    payload.put("quantity", shares(quantity, BigDecimal.ONE));
    payload.put("filled_quantity", shares(filled, BigDecimal.ZERO));
    boolean isFull = side != null && price != null && quantity != null;
    Statement statement =
        new Statement("order", payload, standing.status(), kind, "order", id)
            .identity(
                "order",
                id,
                word,
                filled == null ? "" : filled.toPlainString(),
                changedAt == null ? "" : Times.millisText(changedAt))
            .group(id)
            .occurredAt(changedAt)
            .standing(standing, FINAL)
            .version(version(changedAt))
            .recipe(isFull ? FULL : PARTIAL);
    return isFull
        ? statement.stakes(standing.status(), filled, side, price, quantity)
        : statement.stakes(standing.status(), filled);
  }

  private static Statement fill(JsonNode fill, String kind) {
    String id = Json.first(fill, "order_id", "id");
    String word = Json.text(fill, "status");
    String tradeId = Json.word(fill, "trade_id");
    Standing standing = ORDERS.getOrDefault(word == null ? "filled" : word, Standing.UNKNOWN);
    BigDecimal price = Json.decimal(fill, "price");
    BigDecimal quantity = Json.decimal(fill, "quantity");
    String side = side(fill);
    Long filledAt = moment(fill, "timestamp", "ts", "updated_at", "created_at");

    GenericRecord payload = Canonical.record("Order");
    payload.put("market", market(fill));
    payload.put("outcome", Json.text(fill, "outcome_id"));
    payload.put("side", side);
    payload.put("status", standing.status());
    payload.put("provider_status", word == null ? kind : word);
    payload.put(
        "filled_quantity", shares(Json.decimal(fill, "filled_quantity"), BigDecimal.ZERO));
    payload.put("last_price", price(price));
    payload.put("last_quantity", shares(quantity, BigDecimal.ONE));
    payload.put("trade_id", tradeId);
    return new Statement("order", payload, standing.status(), kind, "fill", id)
        .identity("fill", id, tradeId)
        .group(id)
        .occurredAt(filledAt)
        .standing(standing, FINAL)
        .version(version(filledAt))
        .stakes(standing.status(), side, price, quantity);
  }

  private static Statement outcome(JsonNode outcome, String kind, String action) {
    String market = Json.word(outcome, "market_id");
    String won = Json.first(outcome, "winning_outcome_id", "outcome_id");
    BigDecimal payout = Json.decimal(outcome, "payout");
    Long settledAt = moment(outcome, "settled_at", "timestamp", "ts");

    GenericRecord payload = Canonical.record("Settlement");
    payload.put("market", market);
    payload.put("outcome", won);
    payload.put("payout", Money.record(Money.unsized(payout, currency(outcome))));
    return new Statement("settlement", payload, action, kind, "settlement", market)
        .identity(kind, market, won == null ? "" : won)
        .group(market)
        .occurredAt(settledAt)
        .standing(new Standing("completed", FINAL), FINAL)
        .version(version(settledAt))
        .stakes("completed", won, payout);
  }

  private static Statement wallet(JsonNode wallet, String kind) {
    String currency = currency(wallet).toUpperCase(Locale.ROOT);
    GenericRecord payload = Canonical.record("Balance");
    payload.put("currency", currency);
    payload.put(
        "available", Money.record(Money.unsized(Json.decimal(wallet, "balance"), currency)));
    payload.put("locked", Money.record(Money.unsized(Json.decimal(wallet, "locked"), currency)));
    return new Statement("balance", payload, "changed", kind, "wallet", currency);
  }

  private static Statement transfer(String kind, JsonNode told, String account) {
    Motion motion = MOTIONS.get(kind);
    Standing standing = motion.standing;
    String ownId = Json.first(told, "deposit_id", "withdrawal_id", "referral_id", "id");
    Long movedAt = moment(told, "updated_at", "timestamp", "ts", "created_at");
    String currency = currency(told).toUpperCase(Locale.ROOT);
    BigDecimal amount = Json.decimal(told, "amount");

    GenericRecord payload = Canonical.record("Transfer");
    payload.put("direction", motion.direction);
    payload.put("method", motion.method);
    payload.put("status", standing.status());
    payload.put("provider_status", kind);
    payload.put("gross", Money.record(Money.unsized(amount, currency)));
    payload.put("network", Json.text(told, "network"));
    payload.put("tx_hash", Json.text(told, "tx_hash"));
    String entityKind = ownId == null ? "user" : motion.entityKind;
    String entityId = ownId == null ? account : ownId;
    Statement statement =
        new Statement("transfer", payload, standing.status(), kind, entityKind, entityId)
            .occurredAt(movedAt)
            .standing(standing, FINAL)
            .version(version(movedAt))
            .stakes(standing.status(), currency, amount);
    return ownId == null ? statement : statement.identity(kind, ownId);
  }

  private static Statement notice(String kind, JsonNode spoken, String account) {
    Topic topic = TOPICS.get(kind);
    String ownId = Json.first(spoken, "proposal_id", "dispute_id", "comment_id", "id");
    String market = Json.text(spoken, "market_id");
    Long spokenAt = moment(spoken, "timestamp", "ts", "created_at");

    GenericRecord payload = Canonical.record("Notice");
    payload.put("topic", topic.name);
    payload.put("subject", ownId == null ? market : ownId);
    payload.put("status", topic.decision);
    String entityKind = ownId == null ? "user" : topic.name;
    String entityId = ownId == null ? account : ownId;
    Statement statement =
        new Statement("notice", payload, kind, kind, entityKind, entityId)
            .group(market)
            .occurredAt(spokenAt)
            .version(version(spokenAt))
            .last();
    return ownId == null ? statement : statement.identity(kind, ownId);
  }

  private static String market(JsonNode object) {
    String market = Json.text(object, "market_id");
    return market == null ? "" : market;
  }

  private static String currency(JsonNode object) {
    String told = Json.text(object, "currency");
    return told == null ? USDC : told;
  }

  private static String side(JsonNode object) {
    JsonNode told = object.get("side");
    if (told == null || told.isNull()) {
      return null;
    }
    return switch (told.intValue()) {
      case 1 -> "buy";
      case 2 -> "sell";
      default -> throw new Invalid("side: expected 1 or 2, found another number");
    };
  }

  /** Return basis points as the USDC that a share costs, null for null. */
  private static GenericRecord price(BigDecimal points) {
    if (points == null) {
      return null;
    }
    BigDecimal whole = integer(points, BigDecimal.ZERO, WHOLE_SHARE);
    return Money.record(new Money(whole.movePointLeft(4), USDC, null));
  }

  private static GenericRecord shares(BigDecimal quantity, BigDecimal least) {
    if (quantity == null) {
      return null;
    }
    return Money.record(new Money(integer(quantity, least, MOST_SHARES), SHARES, null));
  }

  private static BigDecimal integer(BigDecimal number, BigDecimal least, BigDecimal most) {
    boolean isWhole = number.scale() <= 0 || number.stripTrailingZeros().scale() <= 0;
    if (!isWhole || number.compareTo(least) < 0 || number.compareTo(most) > 0) {
      throw new Invalid("number: expected a whole one within its limits, found another");
    }
    return number;
  }

  /** Return the first time that was told; the recordings hold no numbers here. */
  private static Long moment(JsonNode object, String... names) {
    for (String name : names) {
      JsonNode told = object.get(name);
      if (told != null && !told.isNull()) {
        if (!told.isTextual()) {
          throw new Unknown("satoriex " + name + " as a number");
        }
        return Times.micros(told.textValue());
      }
    }
    return null;
  }

  private static Version version(Long changedAt) {
    return changedAt == null ? null : Version.of(changedAt);
  }
}

package bench.frames;

import static java.util.Map.entry;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.avro.generic.GenericRecord;

/** AssetPay: trades of game items, the merchant's crypto, and market listings. */
final class AssetPay implements Mapper {
  private static final String USD = "USD";
  private static final int TRADE_FINAL = 4;
  private static final int FUNDING_FINAL = 3;

  private static final Map<String, Standing> TRADES =
      Map.ofEntries(
          entry("initiated", new Standing("created", 0)),
          entry("pending", new Standing("pending", 1)),
          entry("active", new Standing("processing", 2)),
          entry("hold", new Standing("on_hold", 3)),
          entry("completed", new Standing("completed", 4)),
          entry("failed", new Standing("failed", 4)),
          entry("declined", new Standing("declined", 4)),
          entry("canceled", new Standing("cancelled", 4)),
          entry("reverted", new Standing("reversed", 5)));

  private static final Map<String, Standing> FUNDINGS =
      Map.ofEntries(
          entry("INITIATED", new Standing("created", 0)),
          entry("PENDING", new Standing("pending", 1)),
          entry("PENDING_ADMIN", new Standing("pending", 1)),
          entry("APPROVED", new Standing("processing", 2)),
          entry("COMPLETED", new Standing("completed", 3)),
          entry("REJECTED", new Standing("declined", 3)),
          entry("FAILED", new Standing("failed", 3)),
          entry("CANCELLED", new Standing("cancelled", 3)),
          entry("EXPIRED", new Standing("expired", 3)),
          entry("REFUNDED", new Standing("refunded", 4)));

  private static final Map<String, String> DIRECTIONS = Map.of("deposit", "in", "withdraw", "out");
  private static final Set<String> ACTIONS = Set.of("upsert", "patch", "remove", "sync");

  private final Persons persons;

  AssetPay(Persons persons) {
    this.persons = persons;
  }

  @Override
  public List<Part> parts(Raw raw) throws IOException {
    SocketIo told = SocketIo.open(raw.value());
    JsonNode argument = told.argument();
    Part part =
        switch (told.event()) {
          case "trade" -> Part.plain("/1/trade", trade(inside(argument, "trade")));
          case "deposit" ->
              Part.plain("/1/funding", funding(inside(argument, "funding"), "deposit", "in"));
          case "withdrawal" ->
              Part.plain("/1/funding", funding(inside(argument, "funding"), "withdrawal", "out"));
          case "market" -> Part.plain("/1", market(argument));
          default -> throw new Unknown("assetpay " + told.event());
        };
    return List.of(part);
  }

  private static JsonNode inside(JsonNode argument, String name) {
    JsonNode object = argument.get(name);
    if (object == null) {
      throw new Unknown("assetpay event without " + name);
    }
    return object;
  }

  private Statement trade(JsonNode trade) {
    String id = Json.word(trade, "id");
    String providerStatus = Json.word(trade, "status");
    String word = providerStatus.toLowerCase(Locale.ROOT);
    Standing standing = TRADES.getOrDefault(word, Standing.UNKNOWN);
    String direction = DIRECTIONS.get(Json.word(trade, "type").toLowerCase(Locale.ROOT));
    if (direction == null) {
      throw new Invalid("type: expected deposit or withdraw, found another word");
    }
    long changedAt = Times.micros(Json.word(trade, "updatedAt"));
    Money gross = Money.of(Json.decimal(trade, "totalPrice"), USD);
    Money now = Money.of(Json.decimal(trade, "preCredit"), USD);
    Money later = Money.of(Json.decimal(trade, "pendingCredit"), USD);

    GenericRecord payload = Canonical.record("Transfer");
    payload.put("direction", direction);
    payload.put("method", "items");
    payload.put("status", standing.status());
    payload.put("provider_status", providerStatus);
    payload.put("gross", Money.record(gross));
    payload.put("credited_now", Money.record(now));
    payload.put("credited_later", Money.record(later));
    payload.put("reference", Json.text(trade, "externalId"));
    payload.put("counterparty_ref", persons.hashed(Json.text(trade, "clientSteamID")));
    payload.put("reason", Json.first(trade, "error", "revertedBy"));
    payload.put("items", items(trade.get("items")));
    return new Statement("transfer", payload, standing.status(), "trade", "trade", id)
        .identity("trade", id, word, Times.millisText(changedAt))
        .occurredAt(changedAt)
        .standing(standing, TRADE_FINAL)
        .version(Version.of(changedAt))
        .stakes(
            standing.status(),
            direction,
            USD,
            Money.stake(gross),
            Money.stake(now),
            Money.stake(later));
  }

  private static List<GenericRecord> items(JsonNode items) {
    List<GenericRecord> told = new ArrayList<>(items.size());
    for (JsonNode item : items) {
      told.add(item(item));
    }
    return told;
  }

  private static GenericRecord item(JsonNode item) {
    GenericRecord record = Canonical.record("Item");
    record.put("id", Json.word(item, "id"));
    record.put("name", Json.first(item, "marketHashName", "name"));
    record.put("game", game(item, "appid"));
    record.put("asset_id", Json.text(item, "assetId"));
    record.put("status", Json.text(item, "status"));
    record.put("error", Json.text(item, "error"));
    record.put("price", price(item));
    return record;
  }

  private static GenericRecord price(JsonNode item) {
    JsonNode offer = item.get("offer");
    return offer == null ? null : Money.record(Money.of(Json.decimal(offer, "price"), USD));
  }

  private static String game(JsonNode object, String name) {
    JsonNode found = object.get(name);
    return found == null || found.isNull() ? null : found.asText();
  }

  private static Statement funding(JsonNode funding, String event, String direction) {
    String id = Json.word(funding, "id");
    String providerStatus = Json.word(funding, "status");
    String word = providerStatus.toUpperCase(Locale.ROOT);
    Standing standing = FUNDINGS.getOrDefault(word, Standing.UNKNOWN);
    JsonNode amounts = funding.get("amounts");
    JsonNode asset = funding.get("asset");
    String symbol = Json.word(asset, "token");
    Money gross = Money.of(Json.decimal(amounts, "usd"), USD);
    Money crypto = Money.of(Json.decimal(amounts, "token"), symbol);
    Money credited = Money.of(Json.decimal(funding, "creditedUsd"), USD);
    Money overpaid = Money.of(Json.decimal(funding, "overpaymentUsd"), USD);
    String hash = Json.text(funding, "txnHash");

    GenericRecord payload = Canonical.record("Transfer");
    payload.put("direction", direction);
    payload.put("method", "crypto");
    payload.put("status", standing.status());
    payload.put("provider_status", providerStatus);
    payload.put("gross", Money.record(gross));
    payload.put("credited_now", Money.record(credited));
    payload.put("overpayment", Money.record(overpaid));
    payload.put("crypto", Money.record(crypto));
    payload.put("network", Json.text(asset, "chain"));
    payload.put("address", Json.text(funding, "address"));
    payload.put("tx_hash", hash);
    return new Statement("transfer", payload, standing.status(), event, "funding", id)
        .identity("funding", id, word, hash == null ? "" : hash)
        .occurredAt(happenedAt(funding, standing))
        .standing(standing, FUNDING_FINAL)
        .stakes(
            standing.status(), direction, USD, Money.stake(gross), symbol, Money.stake(crypto));
  }

  /** Return when it came to this status, which only two of them tell. */
  private static Long happenedAt(JsonNode funding, Standing standing) {
    return switch (standing.status()) {
      case "created" -> Times.micros(funding, "createdAt");
      case "completed" -> Times.micros(funding, "completedAt");
      default -> null;
    };
  }

  private static Statement market(JsonNode market) {
    String action = Json.word(market, "type").toLowerCase(Locale.ROOT);
    if (!ACTIONS.contains(action)) {
      throw new Unknown("assetpay market " + action);
    }
    String game = game(market, "game");
    String source = Json.text(market, "source");
    JsonNode item = market.get("item");
    String itemId = item == null ? Json.text(market, "itemId") : Json.word(item, "id");

    GenericRecord payload = Canonical.record("Listing");
    payload.put("action", action);
    payload.put("game", game);
    payload.put("source", source);
    payload.put("item", item == null ? listed(itemId) : item(item));
    payload.put("price", item == null ? null : price(item));
    return new Statement("listing", payload, action, "market", "listing", place(game, source, itemId))
        .occurredAt(Times.micros(market, "at"));
  }

  private static GenericRecord listed(String itemId) {
    if (itemId == null) {
      return null;
    }
    GenericRecord record = Canonical.record("Item");
    record.put("id", itemId);
    return record;
  }

  private static String place(String game, String source, String itemId) {
    List<String> places = new ArrayList<>(3);
    for (String place : new String[] {game, source, itemId}) {
      if (place != null && !place.isEmpty()) {
        places.add(place);
      }
    }
    return places.isEmpty() ? "all" : Ids.joined(places);
  }
}

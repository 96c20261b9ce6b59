package bench.frames;

import static java.util.Map.entry;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.avro.generic.GenericRecord;

/** Transak: orders that turn fiat into crypto and back, each in a signed token. */
final class Transak implements Mapper {
  private static final int FIRST_FINAL = 4;

  private static final Map<String, Standing> STATUSES =
      Map.ofEntries(
          entry("AWAITING_PAYMENT_FROM_USER", new Standing("created", 0)),
          entry("PAYMENT_DONE_MARKED_BY_USER", new Standing("pending", 1)),
          entry("PROCESSING", new Standing("processing", 2)),
          entry("PENDING_DELIVERY_FROM_TRANSAK", new Standing("processing", 3)),
          entry("ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK", new Standing("on_hold", 3)),
          entry("COMPLETED", new Standing("completed", 4)),
          entry("EXPIRED", new Standing("expired", 4)),
          entry("FAILED", new Standing("failed", 4)),
          entry("DECLINED", new Standing("declined", 4)),
          entry("CANCELLED", new Standing("cancelled", 4)),
          entry("REFUNDED", new Standing("refunded", 5)));

  private static final Set<String> KINDS =
      Set.of(
          "ORDER_CREATED",
          "ORDER_PAYMENT_VERIFYING",
          "ORDER_PROCESSING",
          "ORDER_COMPLETED",
          "ORDER_FAILED",
          "ORDER_REFUNDED");

  private final Persons persons;
  private final Token token;
  private final String verified;

  Transak(Persons persons, String keyId, byte[] key) {
    this.persons = persons;
    this.token = new Token(key);
    this.verified = "hs256:" + keyId;
  }

  @Override
  public List<Part> parts(Raw raw) throws IOException {
    JsonNode message = Json.tree(raw.value());
    String event = Json.word(message, "event");
    if (!KINDS.contains(event)) {
      throw new Unknown("transak " + event);
    }
    JsonNode claims = token.verified(unquoted(Json.word(message, "data")), raw.receivedAt());
    JsonNode order = claims.get("webhookData");
    String word = both(event, Json.text(claims, "eventID"));
    Statement statement = order(order == null ? claims : order, word);
    return List.of(new Part("/data", "signed", verified, List.of(statement)));
  }

  /** Return a token that may be quoted once more. */
  private static String unquoted(String told) throws IOException {
    String text = told.strip();
    return text.startsWith("\"") ? Json.MAPPER.readTree(text).textValue() : text;
  }

  /** Return the provider's word; both where the signed one contradicts Pusher's. */
  private static String both(String event, String signed) {
    return signed == null || signed.equals(event) ? event : event + " / " + signed;
  }

  private Statement order(JsonNode order, String word) {
    String id = Json.first(order, "id", "_id", "orderId");
    String status = Json.word(order, "status");
    Standing standing = STATUSES.getOrDefault(status, Standing.UNKNOWN);
    String told = Json.text(order, "updatedAt");
    long changedAt = Times.micros(told == null ? Json.word(order, "createdAt") : told);
    String fiatCurrency = Json.word(order, "fiatCurrency");
    String cryptoCurrency = Json.first(order, "cryptoCurrency", "cryptocurrency");
    String side = Json.word(order, "isBuyOrSell").toLowerCase(Locale.ROOT);
    Money fiat = Money.of(Json.decimal(order, "fiatAmount"), fiatCurrency);
    Money crypto = Money.of(Json.decimal(order, "cryptoAmount"), cryptoCurrency);
    Money paid = Money.of(Json.decimal(order, "amountPaid"), fiatCurrency);
    BigDecimal totalFee = Json.decimal(order, "totalFeeInFiat");

    GenericRecord payload = Canonical.record("Conversion");
    payload.put("side", side);
    payload.put("status", standing.status());
    payload.put("provider_status", status);
    payload.put("fiat", Money.record(fiat));
    payload.put("crypto", Money.record(crypto));
    payload.put("paid", Money.record(paid));
    payload.put("rate", Money.rate(Json.decimal(order, "conversionPrice")));
    payload.put("fees", fees(order, totalFee, fiatCurrency));
    payload.put("payment_method", Json.text(order, "paymentOptionId"));
    payload.put("network", Json.text(order, "network"));
    payload.put("address", Json.text(order, "walletAddress"));
    payload.put("tx_hash", Json.text(order, "transactionHash"));
    payload.put("customer_ref", persons.hashed(Json.first(order, "partnerCustomerId", "userId")));
    payload.put("partner_order_id", Json.text(order, "partnerOrderId"));
    return new Statement("conversion", payload, standing.status(), word, "order", id)
        .identity("order", id, status, Times.millisText(changedAt))
        .occurredAt(changedAt)
        .standing(standing, FIRST_FINAL)
        .version(Version.of(changedAt))
        .stakes(
            standing.status(),
            side,
            fiatCurrency,
            cryptoCurrency,
            Money.stake(fiat),
            Money.stake(crypto),
            Money.stake(paid),
            totalFee);
  }

  private static List<GenericRecord> fees(JsonNode order, BigDecimal total, String currency) {
    List<GenericRecord> fees = new ArrayList<>(2);
    Fees.add(fees, "totalFeeInFiat", Money.of(total, currency));
    BigDecimal partner = Json.decimal(order, "partnerFeeInLocalCurrency");
    Fees.add(fees, "partnerFeeInLocalCurrency", Money.of(partner, currency));
    return fees;
  }
}

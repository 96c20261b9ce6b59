package bench.frames;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;

/** Pepay: invoices, their payments, and commerce orders. */
final class Pepay implements Mapper {
  private static final String USD = "USD";
  private static final int FIRST_FINAL = 3;
  private static final int FULL_FORM = 1;
  private static final int SHORT_FORM = 2;

  private static final Map<String, Standing> INVOICES =
      Map.of(
          "unpaid", new Standing("created", 0),
          "underpaid", new Standing("pending", 1),
          "paid", new Standing("completed", 3),
          "expired", new Standing("expired", 3));

  private static final Map<String, Standing> PAYMENTS =
      Map.of(
          "pending", new Standing("pending", 1),
          "confirmed", new Standing("processing", 2),
          "settled", new Standing("completed", 3),
          "failed", new Standing("failed", 3));

  private static final Map<String, Standing> ORDERS =
      Map.of(
          "processing", new Standing("processing", 2),
          "placed", new Standing("processing", 2),
          "shipped", new Standing("processing", 2),
          "delivered", new Standing("completed", 3),
          "fulfilled", new Standing("completed", 3),
          "cancelled", new Standing("cancelled", 3),
          "failed", new Standing("failed", 3),
          "refunded", new Standing("refunded", 4));

  private final Persons persons;

  Pepay(Persons persons) {
    this.persons = persons;
  }

  @Override
  public List<Part> parts(Raw raw) throws IOException {
    JsonNode event = Json.tree(raw.value());
    if (!"event".equals(Json.text(event, "object"))) {
      throw new Unknown("pepay " + Json.text(event, "object"));
    }
    JsonNode object = event.get("data").get("object");
    String type = Json.word(event, "type");
    Statement statement =
        switch (type) {
          case "invoice.created", "invoice.updated" -> invoice(object, type);
          case "invoice_payment.created", "invoice_payment.updated" -> payment(object, type);
          case "commerce.order.created", "commerce.order.updated" -> order(object, type);
          default -> throw new Unknown("pepay " + type);
        };
    String id = Json.word(event, "id");
    statement
        .identity(id)
        .occurredAt(Times.ofSeconds(event.get("created").longValue()))
        .version(version(id));
    return List.of(Part.plain("/data/object", statement));
  }

  /** Return (ms, n) of {@code evt_<ms>-<n>}. */
  private static Version version(String id) {
    int dash = id.indexOf('-');
    if (!id.startsWith("evt_") || dash < 0) {
      throw new Unknown("pepay event id " + id);
    }
    return new Version(
        Long.parseLong(id, 4, dash, 10), Long.parseLong(id, dash + 1, id.length(), 10));
  }

  private Statement invoice(JsonNode invoice, String type) {
    String id = Json.word(invoice, "id");
    String word = Json.word(invoice, "status");
    Standing standing = INVOICES.getOrDefault(word, Standing.UNKNOWN);
    Money full = usd(invoice, "amount");
    Money amount = full == null ? Money.of(Json.decimal(invoice, "amount_usd"), USD) : full;
    Money paid = usd(invoice, "amount_paid");

    GenericRecord payload = Canonical.record("Invoice");
    payload.put("status", standing.status());
    payload.put("provider_status", word);
    payload.put("amount", Money.record(amount));
    payload.put("paid", Money.record(paid));
    payload.put("remaining", Money.record(usd(invoice, "amount_remaining")));
    payload.put("expires_at", expiry(invoice));
    payload.put("order_id", Json.text(invoice, "commerce_order_id"));
    payload.put("customer_ref", persons.hashed(Json.text(invoice, "customer_id")));
    payload.put("network", Json.text(invoice, "payer_wallet_network"));
    payload.put("address", Json.text(invoice, "payer_wallet_address"));
    String action = standing.status().equals("completed") ? "paid" : standing.status();
    return new Statement("invoice", payload, action, type, "invoice", id)
        .group(id)
        .standing(standing, FIRST_FINAL)
        .stakes(standing.status(), USD, Money.stake(amount), Money.stake(paid))
        .recipe(full == null ? SHORT_FORM : FULL_FORM);
  }

  /** Return an amount that is told as decimal text and as thousandths of a dollar. */
  private static Money usd(JsonNode invoice, String name) {
    BigDecimal dollars = Json.decimal(invoice, name + "_decimal");
    BigDecimal millis = Json.decimal(invoice, name);
    if (millis == null) {
      return Money.of(dollars, USD);
    }
    if (dollars == null || dollars.compareTo(millis.movePointLeft(3)) != 0) {
      throw new Invalid(name + ": expected the same amount twice, found another");
    }
    return Money.of(dollars, USD);
  }

  /** Return a time that is told as ISO 8601 or as unix seconds, or null. */
  private static Long expiry(JsonNode invoice) {
    JsonNode told = invoice.get("expires_at");
    if (told == null || told.isNull()) {
      return null;
    }
    return told.isTextual() ? Times.micros(told.textValue()) : Times.ofSeconds(told.longValue());
  }

  private static Statement payment(JsonNode payment, String type) {
    String invoiceId = Json.word(payment, "invoice_id");
    String word = Json.word(payment, "status");
    Standing standing = PAYMENTS.getOrDefault(word, Standing.UNKNOWN);
    Money amount = Money.of(Json.decimal(payment, "amount_usd"), USD);

    GenericRecord payload = Canonical.record("Payment");
    payload.put("invoice_id", invoiceId);
    payload.put("status", standing.status());
    payload.put("provider_status", word);
    payload.put("amount", Money.record(amount));
    payload.put("token", Json.text(payment, "token"));
    payload.put("network", Json.text(payment, "payment_network"));
    payload.put("tx_hash", Json.text(payment, "transaction_hash"));
    String id = Json.word(payment, "id");
    return new Statement("payment", payload, standing.status(), type, "invoice_payment", id)
        .group(invoiceId)
        .standing(standing, FIRST_FINAL)
        .stakes(standing.status(), USD, Money.stake(amount));
  }

  /** Read an order: events spell it with underscores, or in camelCase. */
  private Statement order(JsonNode order, String type) {
    String word = Json.word(order, "status");
    Standing standing = ORDERS.getOrDefault(word, Standing.UNKNOWN);
    String invoiceId = Json.first(order, "invoice_id", "invoiceId");

    GenericRecord payload = Canonical.record("Purchase");
    payload.put("status", standing.status());
    payload.put("provider_status", word);
    payload.put("substatus", Json.text(order, "substatus"));
    payload.put("retailer", Json.text(order, "retailer"));
    payload.put("invoice_id", invoiceId);
    payload.put(
        "customer_ref", persons.hashed(Json.first(order, "customer_id", "customerId")));
    payload.put("total", Money.record(Money.of(Json.decimal(order, "total"), USD)));
    payload.put("network", Json.first(order, "wallet_network", "walletNetwork"));
    payload.put("address", Json.first(order, "wallet_address", "walletAddress"));
    String id = Json.first(order, "id", "order_id", "orderId");
    return new Statement("purchase", payload, standing.status(), type, "commerce_order", id)
        .group(invoiceId)
        .standing(standing, FIRST_FINAL)
        .stakes(standing.status(), USD);
  }
}

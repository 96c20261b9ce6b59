package bench.frames;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import javax.crypto.Mac;

/** JSON Web Tokens that a shared key signed with HS256. */
final class Token {
  private static final Base64.Decoder BASE64 = Base64.getUrlDecoder();
  private static final BigDecimal MILLION = BigDecimal.valueOf(1_000_000);
  private static final BigDecimal SLACK = BigDecimal.valueOf(60);
  private final Mac mac;

  Token(byte[] key) {
    this.mac = Hashes.keyed(key);
  }

  /** Return the claims of a token; throws {@link Invalid} for one that proves nothing. */
  JsonNode verified(String token, long now) throws IOException {
    int first = token.indexOf('.');
    int last = token.lastIndexOf('.');
    if (first < 0 || token.indexOf('.', first + 1) != last) {
      throw new Invalid("token: expected 3 segments, found another number");
    }
    byte[] text = token.getBytes(StandardCharsets.US_ASCII);
    checkHeader(Json.tree(BASE64.decode(token.substring(0, first))));
    mac.update(text, 0, last);
    if (!MessageDigest.isEqual(mac.doFinal(), BASE64.decode(token.substring(last + 1)))) {
      throw new Invalid("token: expected our key to have signed it, it has not");
    }
    JsonNode claims = Json.tree(BASE64.decode(token.substring(first + 1, last)));
    checkLife(Json.decimal(claims, "exp"), now);
    return claims;
  }

  private static void checkHeader(JsonNode header) {
    if (!"HS256".equals(Json.text(header, "alg")) || header.has("crit")) {
      throw new Invalid("token: expected alg HS256 and nothing critical, found others");
    }
  }

  private static void checkLife(BigDecimal expiry, long now) {
    if (expiry == null) {
      return;
    }
    BigDecimal end = expiry.add(SLACK).multiply(MILLION);
    if (BigDecimal.valueOf(now).compareTo(end) > 0) {
      throw new Invalid("token: expected one that had not expired, found exp past");
    }
  }
}

package bench.frames;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** SHA-256, keyed and not; an instance belongs to one thread. */
final class Hashes {
  static final int KEY = 16;
  static final int STAKES = 8;
  private static final HexFormat HEX = HexFormat.of();
  private final MessageDigest digest;

  Hashes() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException(error);
    }
  }

  /** Return what a frame is recognised by. */
  String evidence(byte[] frame) {
    return HEX.formatHex(digest.digest(frame));
  }

  /** Return the key of a text in a store. */
  byte[] key(String text) {
    return cut(text.getBytes(StandardCharsets.UTF_8), KEY);
  }

  byte[] cut(byte[] content, int size) {
    return Arrays.copyOf(digest.digest(content), size);
  }

  /** Return bytes that are equal for equal stakes: 30 and 30.0 are. */
  byte[] stakes(Object[] stakes) {
    StringBuilder text = new StringBuilder();
    for (Object stake : stakes) {
      if (stake instanceof BigDecimal number) {
        text.append('n').append(number.stripTrailingZeros());
      } else if (stake != null) {
        text.append('s').append(stake);
      }
      text.append('\u001f');
    }
    return cut(text.toString().getBytes(StandardCharsets.UTF_8), STAKES);
  }

  static Mac keyed(byte[] key) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      return mac;
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException(error);
    }
  }

  static String hex(byte[] bytes) {
    return HEX.formatHex(bytes);
  }
}

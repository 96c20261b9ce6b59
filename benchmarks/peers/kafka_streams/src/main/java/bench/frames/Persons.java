package bench.frames;

import java.nio.charset.StandardCharsets;
import javax.crypto.Mac;

/** Keyed hashes that stand for persons. */
final class Persons {
  private final String keyId;
  private final Mac mac;

  Persons(String keyId, byte[] key) {
    this.keyId = keyId;
    this.mac = Hashes.keyed(key);
  }

  /** Return the hash of what names a person, null where nobody is named. */
  String hashed(String person) {
    if (person == null || person.isEmpty()) {
      return null;
    }
    return keyId + ":" + Hashes.hex(mac.doFinal(person.getBytes(StandardCharsets.UTF_8)));
  }
}

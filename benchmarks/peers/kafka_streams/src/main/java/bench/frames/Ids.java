package bench.frames;

/** Readable ids. */
final class Ids {
  private Ids() {}

  /** Join with slashes; a slash or percent sign inside a part is encoded. */
  static String joined(Iterable<String> parts) {
    StringBuilder text = new StringBuilder();
    for (String part : parts) {
      text.append('/').append(encoded(part));
    }
    return text.substring(1);
  }

  private static String encoded(String part) {
    if (part.indexOf('/') < 0 && part.indexOf('%') < 0) {
      return part;
    }
    return part.replace("%", "%25").replace("/", "%2F");
  }
}

package bench.frames;

import java.util.List;

/** What opening a frame yields: where it was, how it was verified, and what it states. */
record Part(String pointer, String authority, String verified, List<Statement> statements) {

  /** Return a part that proves no more than the socket does. */
  static Part plain(String pointer, Statement... statements) {
    return new Part(pointer, "best_effort", "tls", List.of(statements));
  }
}

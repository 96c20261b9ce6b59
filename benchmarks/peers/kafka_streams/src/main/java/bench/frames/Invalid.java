package bench.frames;

/** A value that no event may carry. */
final class Invalid extends RuntimeException {
  private static final long serialVersionUID = 1;

  Invalid(String what) {
    super(what);
  }
}

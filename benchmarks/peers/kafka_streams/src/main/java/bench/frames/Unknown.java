package bench.frames;

/** Something that the recordings do not hold, so that nobody has shown the work to be the same. */
final class Unknown extends RuntimeException {
  private static final long serialVersionUID = 1;

  Unknown(String what) {
    super("not in the recordings: " + what);
  }
}

package bench.frames;

/** Our word for a status, and its place in the life of an entity. */
record Standing(String status, int rank) {
  static final Standing UNKNOWN = new Standing("unknown", 0);
}

package bench.frames;

/** What a provider orders the facts of an entity by. */
record Version(long major, long minor) implements Comparable<Version> {

  static Version of(long time) {
    return new Version(time, 0);
  }

  @Override
  public int compareTo(Version other) {
    int order = Long.compare(major, other.major);
    return order != 0 ? order : Long.compare(minor, other.minor);
  }
}

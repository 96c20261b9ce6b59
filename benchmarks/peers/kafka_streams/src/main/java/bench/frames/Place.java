package bench.frames;

/** What the envelope says beyond the frame and the statement. */
record Place(String id, long occurredAt, long sequence, boolean isStale, String change) {}

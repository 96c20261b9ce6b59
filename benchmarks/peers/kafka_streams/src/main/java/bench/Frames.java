package bench;

import bench.frames.FrameTopology;
import java.nio.charset.StandardCharsets;

/** Real frames of the providers: verified, mapped, judged, encoded and told once. */
public final class Frames {
  private Frames() {}

  /** Run until SIGTERM; a frame of a kind that the recordings lack ends it with its name. */
  public static void main(String[] words) {
    Peer peer = new Peer(words);
    FrameTopology.Work work =
        new FrameTopology.Work(
            peer.inputs(),
            peer.output(),
            peer.option("open"),
            Integer.parseInt(peer.option("schema-id")),
            secret("TOKEN"),
            secret("REFERENCE"));
    peer.run(FrameTopology.of(work));
  }

  private static byte[] secret(String name) {
    return System.getenv(name).getBytes(StandardCharsets.UTF_8);
  }
}

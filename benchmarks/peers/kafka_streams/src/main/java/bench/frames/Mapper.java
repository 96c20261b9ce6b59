package bench.frames;

import java.io.IOException;
import java.util.List;

/** One provider's reading of its frames. */
interface Mapper {
  /** Return what a frame tells; throws {@link Unknown} for a kind that the recordings lack. */
  List<Part> parts(Raw raw) throws IOException;
}

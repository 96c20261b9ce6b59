package bench.frames;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;

/** An event of Socket.IO, of either generation: {@code 42["name",argument]}. */
record SocketIo(String event, JsonNode argument) {

  static SocketIo open(byte[] frame) throws IOException {
    if (frame.length < 3 || frame[0] != '4' || frame[1] != '2') {
      throw new Unknown("Socket.IO packet that is no event");
    }
    JsonNode array = Json.tree(frame, content(frame));
    if (!array.isArray() || array.size() < 2) {
      throw new Unknown("Socket.IO event without an argument");
    }
    return new SocketIo(array.get(0).textValue(), array.get(1));
  }

  /** Return where the array begins, after the namespace and the id to acknowledge. */
  private static int content(byte[] frame) {
    int at = 2;
    if (frame[at] == '/') {
      while (frame[at] != ',') {
        at++;
      }
      at++;
    }
    while (frame[at] != '[') {
      at++;
    }
    return at;
  }
}

package peers;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What is remembered of one customer, and how it is written down: binary, as whoever wants it quick would do it. */
final class Customer {
  private record Seen(long atMs, String id) {}

  private static final class Kind {
    long count;
    Seen last;
  }

  private final Map<String, Kind> kinds = new LinkedHashMap<>();
  private final ArrayDeque<Seen> recent = new ArrayDeque<>();
  private boolean alerted;

  /** Takes in an event; returns the ids of those that fill a window for the first time, else null. */
  List<String> take(Event event, String counted, int atLeast, long withinMs) {
    Seen seen = new Seen(event.at_ms, event.id);
    Kind kind = kinds.computeIfAbsent(event.type, type -> new Kind());
    kind.count++;
    if (kind.last == null || seen.atMs >= kind.last.atMs) kind.last = seen;
    if (alerted || !event.type.equals(counted)) return null;
    recent.addLast(seen);
    while (recent.getFirst().atMs <= seen.atMs - withinMs) recent.removeFirst();
    if (recent.size() < atLeast) return null;
    List<String> ids = new ArrayList<>(recent.size());
    for (Seen one : recent) ids.add(one.id);
    alerted = true;
    recent.clear();
    return ids;
  }

  static Serde<Customer> serde() {
    return Serdes.serdeFrom((topic, customer) -> customer == null ? null : customer.written(),
        (topic, bytes) -> bytes == null ? null : read(ByteBuffer.wrap(bytes)));
  }

  private byte[] written() {
    List<byte[]> texts = new ArrayList<>();
    kinds.forEach((type, kind) -> {
      texts.add(type.getBytes(UTF_8));
      texts.add(kind.last.id.getBytes(UTF_8));
    });
    for (Seen one : recent) texts.add(one.id.getBytes(UTF_8));
    int size = 3 + 16 * kinds.size() + 8 * recent.size();
    for (byte[] text : texts) size += 2 + text.length;
    ByteBuffer out = ByteBuffer.allocate(size);
    out.put((byte) (alerted ? 1 : 0)).put((byte) kinds.size()).put((byte) recent.size());
    int place = 0;
    for (Kind kind : kinds.values()) {
      out.putLong(kind.count).putLong(kind.last.atMs);
      put(out, texts.get(place++));
      put(out, texts.get(place++));
    }
    for (Seen one : recent) {
      out.putLong(one.atMs);
      put(out, texts.get(place++));
    }
    return out.array();
  }

  private static Customer read(ByteBuffer in) {
    Customer customer = new Customer();
    customer.alerted = in.get() == 1;
    int kinds = in.get();
    int recent = in.get();
    for (; kinds > 0; kinds--) {
      Kind kind = new Kind();
      kind.count = in.getLong();
      long atMs = in.getLong();
      String type = text(in);
      kind.last = new Seen(atMs, text(in));
      customer.kinds.put(type, kind);
    }
    for (; recent > 0; recent--) {
      long atMs = in.getLong();
      customer.recent.addLast(new Seen(atMs, text(in)));
    }
    return customer;
  }

  private static void put(ByteBuffer out, byte[] text) {
    out.putShort((short) text.length).put(text);
  }

  private static String text(ByteBuffer in) {
    byte[] text = new byte[in.getShort()];
    in.get(text);
    return new String(text, UTF_8);
  }
}

package peers;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The job on Kafka Streams: Processor API, one store with a changelog, exactly once (v2). */
public final class Job {
  private static final Map<String, String> ENV = System.getenv();
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final ObjectReader EVENTS = JSON.readerFor(Event.class);
  private static final ObjectWriter ALERTS = JSON.writerFor(Map.class);
  private static final String COUNTED = ENV.get("COUNTED");
  private static final int AT_LEAST = Integer.parseInt(ENV.get("AT_LEAST"));
  private static final long WITHIN_MS = Long.parseLong(ENV.get("WITHIN_MS"));

  private static final class Detect implements Processor<String, Event, String, Map<String, Object>> {
    private ProcessorContext<String, Map<String, Object>> context;
    private KeyValueStore<String, Customer> customers;

    @Override
    public void init(ProcessorContext<String, Map<String, Object>> context) {
      this.context = context;
      customers = context.getStateStore("customers");
    }

    @Override
    public void process(Record<String, Event> record) {
      Event event = record.value();
      Customer customer = customers.get(event.customer_id);
      if (customer == null) customer = new Customer();
      List<String> completed = customer.take(event, COUNTED, AT_LEAST, WITHIN_MS);
      customers.put(event.customer_id, customer);
      if (completed != null) context.forward(record.withValue(alert(event, completed)));
    }

    private static Map<String, Object> alert(Event event, List<String> completed) {
      Map<String, Object> alert = new LinkedHashMap<>();
      alert.put("alert_id", event.customer_id + "/" + event.at_ms);
      alert.put("customer_id", event.customer_id);
      alert.put("at_ms", event.at_ms);
      alert.put("state", "opened");
      alert.put("count", completed.size());
      alert.put("within_ms", WITHIN_MS);
      alert.put("evidence", completed);
      return alert;
    }
  }

  private static Deserializer<Event> events() {
    return (topic, bytes) -> {
      try {
        return EVENTS.readValue(bytes);
      } catch (java.io.IOException error) {
        throw new SerializationException(error);
      }
    };
  }

  private static Serializer<Map<String, Object>> alerts() {
    return (topic, alert) -> {
      try {
        return ALERTS.writeValueAsBytes(alert);
      } catch (java.io.IOException error) {
        throw new SerializationException(error);
      }
    };
  }

  private static Topology topology() {
    var supplier = ENV.get("STORE").equals("memory")
        ? Stores.inMemoryKeyValueStore("customers")
        : Stores.persistentKeyValueStore("customers");
    var store = Stores.keyValueStoreBuilder(supplier, Serdes.String(), Customer.serde()).withCachingEnabled();
    return new Topology()
        .addSource("events", Serdes.String().deserializer(), events(), ENV.get("INPUT"))
        .addProcessor("detect", Detect::new, "events")
        .addStateStore(store, "detect")
        .addSink("alerts", ENV.get("OUTPUT"), Serdes.String().serializer(), alerts(), "detect");
  }

  public static void main(String[] arguments) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, ENV.get("GROUP"));
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, ENV.get("BOOTSTRAP"));
    properties.put(StreamsConfig.STATE_DIR_CONFIG, ENV.get("STATE_DIRECTORY"));
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, ENV.get("THREADS"));
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, ENV.get("COMMIT_MS"));
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, ENV.get("CACHE_BYTES"));
    properties.put(StreamsConfig.producerPrefix("batch.size"), ENV.get("BATCH_BYTES"));
    KafkaStreams streams = new KafkaStreams(topology(), properties);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}

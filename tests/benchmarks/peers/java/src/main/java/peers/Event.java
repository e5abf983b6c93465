package peers;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;

/** As much of an event as the job looks at. */
@JsonIgnoreProperties(ignoreUnknown = true)
public final class Event {
  public String type;
  public String id;
  public String customer_id;
  public long at_ms;
}

// Prints how far a consumer group is, with Kafka's own admin client: of each partition its number,
// the group's offset and how many records there are behind it.
//   java -cp 'JARS/*' dev/Groups.java BROKERS GROUP

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

public class Groups {
  public static void main(String[] args) throws Exception {
    try (var admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
      var listed = admin.listConsumerGroupOffsets(args[1]).partitionsToOffsetAndMetadata().get();
      var latest = listed.keySet().stream().collect(
          Collectors.toMap((TopicPartition it) -> it, it -> OffsetSpec.latest()));
      var ends = admin.listOffsets(latest).all().get();
      var lines = new TreeMap<Integer, String>();
      listed.forEach((partition, at) -> {
        long lag = ends.get(partition).offset() - at.offset();
        lines.put(partition.partition(), partition.partition() + " " + at.offset() + " " + lag);
      });
      lines.values().forEach(System.out::println);
    }
  }
}

// Writes each line of standard input as a message, with Kafka's own Java client, and prints where
// it is and when it was made: 3@17:1795341600007.
//   java -cp 'JARS/*' dev/Produce.java BROKERS TOPIC

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Produce {
  public static void main(String[] args) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "acks", "all");
    var bytes = new ByteArraySerializer();
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes)) {
      for (String line; (line = in.readLine()) != null; ) {
        byte[] value = line.getBytes(StandardCharsets.UTF_8);
        RecordMetadata sent = producer.send(new ProducerRecord<>(args[1], value)).get();
        System.out.println(sent.partition() + "@" + sent.offset() + ":" + sent.timestamp());
      }
    }
  }
}

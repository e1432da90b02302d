import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The energy of each zone and quarter of an hour, from cumulative registers, as a Kafka Streams application.
 *
 * <p>Tuned as its documents say: a thread for each core, stores in memory and with caches (so that a changelog gets
 * each key once a commit), large fetches, and a grace of days, since with less than a day it drops most of a replayed
 * past and is then wrong. A message's key is its zone, so nothing is repartitioned. Guarantees are its defaults: at
 * least once, every store with a changelog topic. The just-in-time compiler is warmed by a first pass over half of
 * the topic, with an application of its own, that is not in the time told.
 *
 * <p>The one argument is the job as JSON, as in peer_job.py; so is the outcome that it writes.
 */
public final class ZoneEnergy {
    private static final long QUARTER_S = 900;
    private static final Duration QUARTER = Duration.ofSeconds(QUARTER_S);
    private static final Duration GRACE = Duration.ofDays(8);
    private static final String REGISTERS = "registers";
    private static final String INJECTED = "2.8.0";
    private static final int WARMING_PART = 2;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final JsonNode job;
    private final String application;
    private final long deliveries;
    private final AtomicLong handled = new AtomicLong();
    private volatile long beganNs;
    private volatile long answeredNs;
    private volatile Duration cpuBegan;
    private final CountDownLatch done = new CountDownLatch(1);
    private final Map<String, Map<Long, long[]>> sums = new ConcurrentHashMap<>();

    private ZoneEnergy(JsonNode job, String application, long deliveries) {
        this.job = job;
        this.application = application;
        this.deliveries = deliveries;
    }

    /** Does the job. */
    public static void main(String[] arguments) throws Exception {
        JsonNode job = JSON.readTree(arguments[0]);
        long deliveries = job.get("deliveries").asLong();
        new ZoneEnergy(job, "bench-peer-kafka-streams-warming", deliveries / WARMING_PART).run();
        ZoneEnergy measured = new ZoneEnergy(job, "bench-peer-kafka-streams", deliveries);
        measured.run();
        measured.write((measured.answeredNs - measured.beganNs) / 1e9, cpu().minus(measured.cpuBegan).toMillis() / 1e3);
        System.exit(0);
    }

    private static Duration cpu() {
        return ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO);
    }

    /** Returns when all deliveries are handled and committed. */
    private void run() throws InterruptedException {
        KafkaStreams streams = new KafkaStreams(topology(), configuration());
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            System.exit(1);
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
        streams.start();
        done.await();
        // Commits and empties the caches: with the last of that the answer is complete.
        streams.close(Duration.ofSeconds(30));
    }

    private Properties configuration() {
        Properties set = new Properties();
        set.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        set.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.get("kafka").asText());
        // The newer protocol gathers all threads before it gives out tasks; by the older one, with a broker that does
        // not wait for more members, the first thread would take all tasks and soon hand half of them over.
        set.put(StreamsConfig.GROUP_PROTOCOL_CONFIG, "streams");
        set.put(StreamsConfig.STATE_DIR_CONFIG, job.get("folder").asText() + "/" + application);
        set.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Runtime.getRuntime().availableProcessors());
        set.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L * 1024 * 1024);
        set.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
        set.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        set.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        set.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 8 * 1024 * 1024);
        set.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MIN_BYTES_CONFIG), 64 * 1024);
        set.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG), 50);
        set.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        set.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        return set;
    }

    private Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(job.get("topic").asText(), Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .processValues(new FixedKeyProcessorSupplier<String, byte[], long[]>() {
                @Override
                public FixedKeyProcessor<String, byte[], long[]> get() {
                    return new Differences();
                }

                @Override
                public Set<StoreBuilder<?>> stores() {
                    return Set.of(Stores.keyValueStoreBuilder(
                        Stores.inMemoryKeyValueStore(REGISTERS), Serdes.String(), Series.SERDE).withCachingEnabled());
                }
            })
            .groupByKey(Grouped.with(Serdes.String(), ENERGY))
            .windowedBy(TimeWindows.ofSizeAndGrace(QUARTER, GRACE))
            .reduce(
                (one, other) -> new long[] {one[0] + other[0], one[1] + other[1]},
                Materialized.<String, long[]>as(
                    Stores.inMemoryWindowStore("sums", GRACE.plus(QUARTER), QUARTER, false))
                    .withKeySerde(Serdes.String()).withValueSerde(ENERGY).withCachingEnabled())
            .toStream()
            .foreach((zone, energy) -> {
                sums.computeIfAbsent(zone.key(), key -> new ConcurrentHashMap<>())
                    .put(zone.window().start() / 1000, energy);
                answeredNs = System.nanoTime();
            });
        return builder.build();
    }

    /** Readings to energy, {withdrawn, injected} in Wh, at its window's start; doubles and what is early give none. */
    private final class Differences implements FixedKeyProcessor<String, byte[], long[]> {
        private final JsonFactory factory = new JsonFactory();
        private final Map<String, Long> quarterOfText = new HashMap<>();
        private FixedKeyProcessorContext<String, long[]> context;
        private KeyValueStore<String, Series> registers;

        @Override
        public void init(FixedKeyProcessorContext<String, long[]> given) {
            context = given;
            registers = given.getStateStore(REGISTERS);
        }

        @Override
        public void process(FixedKeyRecord<String, byte[]> record) {
            long number = handled.incrementAndGet();
            if (number == 1) {
                cpuBegan = cpu();
                beganNs = System.nanoTime();
            }
            Reading reading = parse(record.value());
            long quarter = quarterOfText.computeIfAbsent(
                reading.instant, text -> Instant.parse(text).getEpochSecond() / QUARTER_S);
            String name = reading.meter + ' ' + reading.register;
            Series series = registers.get(name);
            if (series == null) {
                series = new Series(job.get("begin_s").asLong() / QUARTER_S);
            }
            if (quarter >= series.nextQuarter) {
                if (quarter > series.nextQuarter) {
                    series.aheadWh.put(quarter, reading.valueWh);
                } else {
                    forwardComplete(record, series, reading);
                }
                registers.put(name, series);
            }
            if (number == deliveries) {
                done.countDown();
            }
        }

        private void forwardComplete(FixedKeyRecord<String, byte[]> record, Series series, Reading reading) {
            Long valueWh = reading.valueWh;
            while (valueWh != null) {
                if (series.hasLast) {
                    long energyWh = valueWh - series.lastWh;
                    long[] energy = reading.register.equals(INJECTED)
                        ? new long[] {0, energyWh} : new long[] {energyWh, 0};
                    context.forward(
                        record.withValue(energy).withTimestamp((series.nextQuarter - 1) * QUARTER_S * 1000));
                }
                series.hasLast = true;
                series.lastWh = valueWh;
                series.nextQuarter++;
                valueWh = series.aheadWh.isEmpty() ? null : series.aheadWh.remove(series.nextQuarter);
            }
        }

        private Reading parse(byte[] text) {
            Reading reading = new Reading();
            try (JsonParser parser = factory.createParser(text)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String field = parser.currentName();
                    parser.nextToken();
                    switch (field) {
                        case "meter" -> reading.meter = parser.getText();
                        case "register" -> reading.register = parser.getText();
                        case "ts" -> reading.instant = parser.getText();
                        case "value" -> reading.valueWh = parser.getLongValue();
                        default -> parser.skipChildren();
                    }
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return reading;
        }
    }

    private static final class Reading {
        private String meter;
        private String register;
        private String instant;
        private long valueWh;
    }

    /** A register at the newest edge up to which there is no gap, and what came ahead (as in peer_series.py). */
    private static final class Series {
        private static final Serde<Series> SERDE = Serdes.serdeFrom(
            (topic, series) -> series == null ? null : series.toBytes(),
            (topic, bytes) -> bytes == null ? null : Series.fromBytes(bytes));

        private long nextQuarter;
        private boolean hasLast;
        private long lastWh;
        private final TreeMap<Long, Long> aheadWh = new TreeMap<>();

        private Series(long beginQuarter) {
            nextQuarter = beginQuarter;
        }

        private byte[] toBytes() {
            ByteBuffer buffer = ByteBuffer.allocate(17 + 16 * aheadWh.size());
            buffer.putLong(nextQuarter).put((byte) (hasLast ? 1 : 0)).putLong(lastWh);
            aheadWh.forEach((quarter, valueWh) -> buffer.putLong(quarter).putLong(valueWh));
            return buffer.array();
        }

        private static Series fromBytes(byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            Series series = new Series(buffer.getLong());
            series.hasLast = buffer.get() == 1;
            series.lastWh = buffer.getLong();
            while (buffer.hasRemaining()) {
                series.aheadWh.put(buffer.getLong(), buffer.getLong());
            }
            return series;
        }
    }

    private static final Serde<long[]> ENERGY = Serdes.serdeFrom(
        (topic, energy) -> energy == null ? null
            : ByteBuffer.allocate(16).putLong(energy[0]).putLong(energy[1]).array(),
        (topic, bytes) -> bytes == null ? null
            : new long[] {ByteBuffer.wrap(bytes).getLong(), ByteBuffer.wrap(bytes).getLong(8)});

    private void write(double seconds, double cpuSeconds) throws IOException {
        try (JsonGenerator out = JSON.createGenerator(new File(job.get("outcome").asText()), JsonEncoding.UTF8)) {
            out.writeStartObject();
            out.writeNumberField("seconds", seconds);
            out.writeNumberField("cpu_seconds", cpuSeconds);
            out.writeNumberField("rss_bytes", rssBytesMax());
            out.writeArrayFieldStart("rows");
            for (Map.Entry<String, Map<Long, long[]>> zone : sums.entrySet()) {
                for (Map.Entry<Long, long[]> window : zone.getValue().entrySet()) {
                    out.writeStartArray();
                    out.writeString(zone.getKey());
                    out.writeNumber(window.getKey());
                    out.writeNumber(window.getValue()[0]);
                    out.writeNumber(window.getValue()[1]);
                    out.writeEndArray();
                }
            }
            out.writeEndArray();
            out.writeEndObject();
        }
    }

    /** The most memory that this process ever held. */
    private static long rssBytesMax() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
            }
        }
        return 0;
    }
}

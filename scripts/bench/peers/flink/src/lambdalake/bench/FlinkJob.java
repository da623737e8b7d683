package lambdalake.bench;

import java.nio.file.Path;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * The speed layer's job in Flink SQL, in one process: every event into Parquet files, and sums and counts of windows of 5
 * minutes, an hour and a day, each built on the one before. Reads the topic up to where it ends at the start.
 *
 * <p>Arguments: brokers, topic, folder. Prints "start" when the job is submitted and "end" when everything is written.
 */
public final class FlinkJob {
    private static final String CORES = String.valueOf(Runtime.getRuntime().availableProcessors());

    private static final Map<String, String> SETTINGS =
            Map.ofEntries(
                    Map.entry("parallelism.default", CORES),
                    Map.entry("pipeline.object-reuse", "true"),
                    Map.entry("execution.checkpointing.interval", "10 s"),
                    Map.entry("execution.checkpointing.mode", "EXACTLY_ONCE"),
                    Map.entry("state.backend.type", "hashmap"),
                    // A job that fails would be tried again for ever.
                    Map.entry("restart-strategy.type", "none"),
                    Map.entry("taskmanager.numberOfTaskSlots", CORES),
                    Map.entry("taskmanager.memory.managed.size", "1g"),
                    Map.entry("taskmanager.memory.network.min", "256m"),
                    Map.entry("taskmanager.memory.network.max", "256m"),
                    Map.entry("table.local-time-zone", "UTC"),
                    Map.entry("table.exec.mini-batch.enabled", "true"),
                    Map.entry("table.exec.mini-batch.allow-latency", "1 s"),
                    Map.entry("table.exec.mini-batch.size", "50000"),
                    Map.entry("table.optimizer.agg-phase-strategy", "TWO_PHASE"));

    private static final String EVENTS =
            """
            CREATE TABLE events (
                kvfv_id STRING, `timestamp` TIMESTAMP_LTZ(3), vehicle_speed DOUBLE, plate_number STRING,
                WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '3' HOUR
            ) WITH (
                'connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s',
                'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
                'properties.group.id' = 'flink-peer', 'properties.check.crcs' = 'false',
                'properties.max.poll.records' = '20000', 'properties.receive.buffer.bytes' = '1048576',
                'properties.fetch.min.bytes' = '1048576', 'properties.fetch.max.wait.ms' = '100',
                'properties.max.partition.fetch.bytes' = '8388608', 'properties.fetch.max.bytes' = '67108864',
                'format' = 'camera-json'
            )""";

    private static final String FILES =
            """
             WITH (
                'connector' = 'filesystem', 'path' = '%s', 'format' = 'parquet', 'parquet.compression' = 'SNAPPY',
                'parquet.utc-timezone' = 'true', 'parquet.write.int64.timestamp' = 'true',
                'parquet.timestamp.time.unit' = 'millis', 'sink.rolling-policy.file-size' = '256MB'
            )""";

    private static final String WINDOWS =
            """
            CREATE TEMPORARY VIEW all_%1$s AS
            SELECT kvfv_id, window_start, window_time AS closes, SUM(%3$s) AS speeds, %4$s AS vehicles
            FROM TABLE(TUMBLE(TABLE %2$s, DESCRIPTOR(%5$s), INTERVAL %6$s))
            GROUP BY kvfv_id, window_start, window_end, window_time""";

    private final StreamTableEnvironment tables;
    private final StatementSet job;
    private final String folder;

    private FlinkJob(String folder) {
        this.folder = Path.of(folder).toUri().toString();
        Configuration settings = Configuration.fromMap(SETTINGS);
        settings.setString("execution.checkpointing.dir", this.folder + "/checkpoints");
        var environment = StreamExecutionEnvironment.createLocalEnvironment(settings);
        var streaming = EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build();
        tables = StreamTableEnvironment.create(environment, streaming);
        job = tables.createStatementSet();
    }

    public static void main(String[] arguments) throws Exception {
        FlinkJob flink = new FlinkJob(arguments[2]);
        flink.tables.executeSql(EVENTS.formatted(arguments[1], arguments[0]));
        flink.land();
        flink.aggregate("w5m", "events", "vehicle_speed", "COUNT(*)", "`timestamp`", "'5' MINUTES");
        flink.aggregate("w1h", "next_w5m", "speeds", "SUM(vehicles)", "closes", "'1' HOUR");
        flink.aggregate("w24h", "next_w1h", "speeds", "SUM(vehicles)", "closes", "'24' HOURS");
        say("start");
        flink.job.execute().await();
        say("end");
        System.exit(0);
    }

    private void land() {
        String columns = "(kvfv_id STRING, `timestamp` TIMESTAMP_LTZ(3), vehicle_speed DOUBLE, plate_number STRING)";
        tables.executeSql("CREATE TABLE landed " + columns + FILES.formatted(folder + "/landed"));
        job.addInsertSql("INSERT INTO landed SELECT kvfv_id, `timestamp`, vehicle_speed, plate_number FROM events");
    }

    private void aggregate(String name, String from, String speeds, String vehicles, String time, String size) {
        tables.executeSql(WINDOWS.formatted(name, from, speeds, vehicles, time, size));
        String columns = "(kvfv_id STRING, window_start TIMESTAMP(3), speeds DOUBLE, vehicles BIGINT)";
        tables.executeSql("CREATE TABLE " + name + " " + columns + FILES.formatted(folder + "/" + name));
        job.addInsertSql("INSERT INTO " + name + " SELECT kvfv_id, window_start, speeds, vehicles FROM all_" + name);
        // Without the bounds of this window, which the next ones would take for their own.
        String next = "CREATE TEMPORARY VIEW next_%1$s AS SELECT kvfv_id, closes, speeds, vehicles FROM all_%1$s";
        tables.executeSql(next.formatted(name));
    }

    private static void say(String mark) {
        System.out.println(mark);
        System.out.flush();
    }
}

package lambdalake.bench;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.from_json;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.window;

import java.util.Map;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.Trigger;
import org.apache.spark.sql.types.StructType;

/**
 * The speed layer's job in Spark's Structured Streaming on Delta tables, in one process: every event into a table, and from
 * there sums and counts of windows of 5 minutes, and from those of an hour and a day. So JSON is parsed once, which takes
 * less than reading Kafka for landing and for windows. Reads the topic up to where it ends at the start.
 *
 * <p>Arguments: "run", brokers, topic, folder, partitions of the topic. Or "close", folder, partitions, an instant: after a
 * run, two events long after that instant close the windows that are still open, as the next day's events would. Prints
 * "start" and "end" around the work.
 */
public final class SparkJob {
    private static final String RECORDS_PER_BATCH = "5000000";

    private static final String CORES = String.valueOf(Runtime.getRuntime().availableProcessors());

    private static final Map<String, String> SETTINGS =
            Map.of(
                    "spark.ui.enabled", "false",
                    "spark.sql.session.timeZone", "UTC",
                    "spark.sql.shuffle.partitions", CORES,
                    "spark.sql.parquet.compression.codec", "snappy",
                    "spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension",
                    "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog",
                    "spark.databricks.delta.snapshotPartitions", CORES);

    private static final Map<String, String> KAFKA =
            Map.of(
                    "startingOffsets", "earliest",
                    "maxOffsetsPerTrigger", RECORDS_PER_BATCH,
                    "kafka.check.crcs", "false",
                    "kafka.max.poll.records", "20000",
                    "kafka.receive.buffer.bytes", "1048576",
                    "kafka.fetch.min.bytes", "1048576",
                    "kafka.fetch.max.wait.ms", "100",
                    "kafka.max.partition.fetch.bytes", "8388608",
                    "kafka.fetch.max.bytes", "67108864");

    private static final StructType EVENT =
            new StructType()
                    .add("kvfv_id", "string")
                    .add("timestamp", "timestamp")
                    .add("vehicle_speed", "double")
                    .add("plate_number", "string");

    private final SparkSession spark;
    private final String folder;
    /** A batch of `landed` has so many files, one of each partition of the topic. */
    private final String filesPerBatch;

    private SparkJob(String folder, String partitions) {
        var builder = SparkSession.builder().master("local[*]").appName("spark-peer");
        SETTINGS.forEach(builder::config);
        spark = builder.getOrCreate();
        spark.sparkContext().setLogLevel("ERROR");
        this.folder = folder;
        filesPerBatch = partitions;
    }

    public static void main(String[] arguments) throws Exception {
        boolean closes = arguments[0].equals("close");
        SparkJob job = closes ? new SparkJob(arguments[1], arguments[2]) : new SparkJob(arguments[3], arguments[4]);
        try {
            say("start");
            if (closes) {
                job.landLaterEvents(arguments[3]);
            } else {
                job.append("landed", job.events(arguments[1], arguments[2])).awaitTermination();
            }
            job.aggregate();
            say("end");
        } finally {
            job.spark.stop();
        }
    }

    private Dataset<Row> events(String brokers, String topic) {
        var reader = spark.readStream().format("kafka").options(KAFKA);
        var records = reader.option("kafka.bootstrap.servers", brokers).option("subscribe", topic).load();
        return records.select(from_json(col("value").cast("string"), EVENT).as("event")).select("event.*");
    }

    private void landLaterEvents(String instant) {
        String row = "SELECT 'sentinel' AS kvfv_id, timestamp '%1$s' + make_interval(0, 0, 0, %2$d) AS timestamp, "
                + "CAST(0 AS DOUBLE) AS vehicle_speed, CAST(NULL AS STRING) AS plate_number";
        // The first one's window is closed by the second, and with it the hours and days before it.
        var rows = spark.sql(row.formatted(instant, 2)).union(spark.sql(row.formatted(instant, 4)));
        rows.write().format("delta").mode("append").save(folder + "/landed");
    }

    private void aggregate() throws Exception {
        var raw = spark.readStream().format("delta").option("startingVersion", "0");
        var landed = raw.option("maxFilesPerTrigger", filesPerBatch).load(folder + "/landed");
        Column speeds = sum("vehicle_speed").as("speeds");
        Column vehicles = count(lit(1)).as("vehicles");
        append("w5m", windows(landed, "timestamp", "3 hours", "5 minutes", speeds, vehicles)).awaitTermination();
        StreamingQuery hours = append("w1h", larger("1 hour"));
        StreamingQuery days = append("w24h", larger("24 hours"));
        hours.awaitTermination();
        days.awaitTermination();
    }

    private Dataset<Row> larger(String size) {
        var smaller = spark.readStream().format("delta").load(folder + "/w5m");
        Column speeds = sum("speeds").as("speeds");
        return windows(smaller, "window_start", "0 seconds", size, speeds, sum("vehicles").as("vehicles"));
    }

    private static Dataset<Row> windows(
            Dataset<Row> rows, String time, String lateness, String size, Column speeds, Column vehicles) {
        var groups = rows.withWatermark(time, lateness).groupBy(col("kvfv_id"), window(col(time), size).as("w"));
        return groups.agg(speeds, vehicles).select(col("kvfv_id"), col("w.start").as("window_start"), col("speeds"), col("vehicles"));
    }

    /** Appends what there is now to a table. */
    private StreamingQuery append(String table, Dataset<Row> rows) throws Exception {
        var writer = rows.writeStream().format("delta").outputMode("append").trigger(Trigger.AvailableNow());
        return writer.option("checkpointLocation", folder + "/checkpoints/" + table).start(folder + "/" + table);
    }

    private static void say(String mark) {
        System.out.println(mark);
        System.out.flush();
    }
}

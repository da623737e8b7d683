package lambdalake.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.Projection;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.format.ProjectableDecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * A format for camera events alone, as one would write it who needs the speed: tokens go straight into the row, and only
 * into the columns asked for. Flink's own JSON format builds a tree of each record first.
 */
public final class CameraJson implements DeserializationFormatFactory {
    @Override
    public String factoryIdentifier() {
        return "camera-json";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        return new Format();
    }

    private static final class Format implements ProjectableDecodingFormat<DeserializationSchema<RowData>> {
        @Override
        public DeserializationSchema<RowData> createRuntimeDecoder(
                DynamicTableSource.Context context, DataType physical, int[][] projections) {
            DataType produced = Projection.of(projections).project(physical);
            List<String> columns = ((RowType) produced.getLogicalType()).getFieldNames();
            return new Decoder(columns, context.createTypeInformation(produced));
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }
    }

    private static final class Decoder implements DeserializationSchema<RowData> {
        private final TypeInformation<RowData> type;
        private final int arity;
        private final int camera;
        private final int time;
        private final int speed;
        private final int plate;
        private transient JsonFactory json;
        // The day that was read last, of which most events are.
        private transient long knownDate;
        private transient long knownDateMillis;

        Decoder(List<String> columns, TypeInformation<RowData> type) {
            this.type = type;
            arity = columns.size();
            camera = columns.indexOf("kvfv_id");
            time = columns.indexOf("timestamp");
            speed = columns.indexOf("vehicle_speed");
            plate = columns.indexOf("plate_number");
        }

        @Override
        public void open(InitializationContext context) {
            json = new JsonFactory();
            knownDate = -1;
        }

        @Override
        public TypeInformation<RowData> getProducedType() {
            return type;
        }

        @Override
        public boolean isEndOfStream(RowData row) {
            return false;
        }

        @Override
        public RowData deserialize(byte[] message) throws IOException {
            GenericRowData row = new GenericRowData(arity);
            try (JsonParser parser = json.createParser(message)) {
                if (parser.nextToken() != JsonToken.START_OBJECT) {
                    throw new IOException("a record is no object");
                }
                for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                    if (parser.nextToken() != JsonToken.VALUE_NULL) {
                        take(name, parser, row);
                    }
                }
            }
            return row;
        }

        private void take(String name, JsonParser parser, GenericRowData row) throws IOException {
            switch (name) {
                case "kvfv_id" -> set(row, camera, camera < 0 ? null : StringData.fromString(parser.getText()));
                case "timestamp" -> set(row, time, time < 0 ? null : instant(parser));
                case "vehicle_speed" -> set(row, speed, speed < 0 ? null : (Object) parser.getDoubleValue());
                case "plate_number" -> set(row, plate, plate < 0 ? null : StringData.fromString(parser.getText()));
                default -> parser.skipChildren();
            }
        }

        private static void set(GenericRowData row, int column, Object value) {
            if (column >= 0) {
                row.setField(column, value);
            }
        }

        /** YYYY-MM-DDThh:mm:ss[.ffffff]Z from its digits, anything else by the library. */
        private TimestampData instant(JsonParser parser) throws IOException {
            char[] text = parser.getTextCharacters();
            int at = parser.getTextOffset();
            int length = parser.getTextLength();
            boolean known = (length == 20 || length == 27) && text[at + 10] == 'T' && text[at + length - 1] == 'Z';
            if (!known) {
                return TimestampData.fromInstant(OffsetDateTime.parse(new String(text, at, length)).toInstant());
            }
            long millis = dateMillis(number(text, at, 4), number(text, at + 5, 2), number(text, at + 8, 2));
            millis += 3_600_000L * number(text, at + 11, 2) + 60_000L * number(text, at + 14, 2);
            millis += 1000L * number(text, at + 17, 2) + (length == 27 ? number(text, at + 20, 3) : 0);
            return TimestampData.fromEpochMillis(millis, length == 27 ? 1000 * number(text, at + 23, 3) : 0);
        }

        private long dateMillis(int year, int month, int day) {
            long date = 10_000L * year + 100L * month + day;
            if (date != knownDate) {
                knownDate = date;
                knownDateMillis = 86_400_000L * LocalDate.of(year, month, day).toEpochDay();
            }
            return knownDateMillis;
        }

        private static int number(char[] text, int at, int digits) {
            int number = 0;
            for (int place = at; place < at + digits; place++) {
                number = 10 * number + text[place] - '0';
            }
            return number;
        }
    }
}

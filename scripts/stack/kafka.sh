# shellcheck shell=bash
# Kafka as scripts/stack.sh runs it: one KRaft node with its data in $DIR/kafka. Sourced by stack.sh.
#
# If STACK_PROXIES is N when the stack is created, it listens on N additional ports, each for clients that connect
# through a proxy of their own: listener n is at the port in proxied-n-port, and advertises the port in proxy-n-port,
# which is reserved for the proxy.

kafka_start() {
    local folder=$DIR/kafka
    mkdir -p "$folder"
    [ -s "$folder/server.properties" ] || kafka_format
    launch kafka java -Xms256m -Xmx1g -Djava.awt.headless=true \
        -Dlog4j2.configurationFile="$here/stack/log4j2.xml" \
        -cp "$KAFKA_HOME/libs/*" kafka.Kafka "$folder/server.properties"
    wait_ready kafka 240
}

# Fills in the settings and formats the data folder. The settings file is renamed last: its name shows that this was
# done.
kafka_format() {
    local folder=$DIR/kafka template controller kafka
    kafka=$(port kafka/port)
    controller=$(port kafka/controller-port)
    template=$(cat "$here/stack/server.properties")
    template=${template//@KAFKA_PORT@/"$kafka"}
    template=${template//@CONTROLLER_PORT@/"$controller"}
    template=$(kafka_add_proxied "$template")
    template=${template//@DATA_DIR@/"$folder/data"}
    rm -rf "$folder/data"
    printf '%s\n' "$template" >"$folder/server.properties.new"
    # For kafka_ready: a response, or a time-out after seconds instead of the usual minute.
    printf '%s\n' default.api.timeout.ms=10000 request.timeout.ms=5000 >"$folder/client.properties"
    kafka_tool kafka.tools.StorageTool format --standalone --cluster-id "$(kafka_tool kafka.tools.StorageTool random-uuid)" \
        --config "$folder/server.properties.new" >"$folder/log" 2>&1 ||
        fail kafka "Kafka's storage tool could not format $folder/data"
    mv "$folder/server.properties.new" "$folder/server.properties"
}

# kafka_add_proxied SETTINGS: prints them with the listeners for proxies.
kafka_add_proxied() {
    local listeners="" advertised="" protocols="" number settings=$1
    for ((number = 1; number <= ${STACK_PROXIES:-0}; number++)); do
        listeners+=,PROXIED$number://127.0.0.1:$(port "kafka/proxied-$number-port")
        advertised+=,PROXIED$number://127.0.0.1:$(port "kafka/proxy-$number-port")
        protocols+=,PROXIED$number:PLAINTEXT
    done
    settings=${settings//@PROXIED_LISTENERS@/"$listeners"}
    settings=${settings//@PROXIED_ADVERTISED@/"$advertised"}
    printf '%s\n' "${settings//@PROXIED_PROTOCOLS@/"$protocols"}"
}

# Whether it responds: lists the topics with Kafka's own tool, once the port is open (a JVM start costs a second or
# two).
kafka_ready() {
    local port
    port=$(cat "$DIR/kafka/port")
    open "$port" || return
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" \
        --command-config "$DIR/kafka/client.properties" --list >/dev/null 2>&1
}

kafka_tool() { java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$KAFKA_HOME/libs/*" "$@"; }

kafka_env() {
    local port
    port=$(cat "$DIR/kafka/port")
    export_line LAKEHOUSE__KAFKA__BROKERS "127.0.0.1:$port"
    export_line STACK_KAFKA_PORT "$port"
    export_line STACK_KAFKA_PID "$(running kafka)"
    export_line STACK_KAFKA_LIBS "$KAFKA_HOME/libs"
}

# shellcheck shell=bash
# Kafka as scripts/stack.sh runs it: one KRaft node with its data in $DIR/kafka, or, with --brokers N, a controller in
# $DIR/controller and brokers in $DIR/kafka-1 to $DIR/kafka-N. Sourced by stack.sh.
#
# If STACK_PROXIES is N when the stack is created, each broker listens on N additional ports, each for clients that
# connect through a proxy of their own: listener n is at the port in proxied-n-port, and advertises the port in
# proxy-n-port, which is reserved for the proxy. Both files are in the broker's folder.

readonly KAFKA_READY_S=240

# kafka_start SERVICE: starts a broker or the controller; kafka_await returns when it is ready.
kafka_start() {
    local folder=$DIR/$1 heap=(-Xms256m -Xmx1g)
    mkdir -p "$folder"
    [ -s "$folder/server.properties" ] || kafka_format "$1"
    case $1 in
        kafka-*) heap=(-Xms128m -Xmx512m) ;;
        controller) heap=(-Xms64m -Xmx256m) ;;
    esac
    launch "$1" java "${heap[@]}" -Djava.awt.headless=true \
        -Dlog4j2.configurationFile="$here/stack/log4j2.xml" \
        -cp "$KAFKA_HOME/libs/*" kafka.Kafka "$folder/server.properties"
}

kafka_await() { wait_ready "$1" "$KAFKA_READY_S"; }

# kafka_format SERVICE: fills in the settings and formats the data folder. The settings file is renamed last: its name
# shows that this was done.
kafka_format() {
    local folder=$DIR/$1 alone=()
    rm -rf "$folder/data"
    kafka_settings "$1" >"$folder/server.properties.new"
    # For kafka_ready: a response, or a time-out after seconds instead of the usual minute.
    printf '%s\n' default.api.timeout.ms=10000 request.timeout.ms=5000 >"$folder/client.properties"
    case $1 in kafka-*) ;; *) alone=(--standalone) ;; esac
    kafka_tool kafka.tools.StorageTool format ${alone[@]+"${alone[@]}"} --cluster-id "$(kafka_cluster_id)" \
        --config "$folder/server.properties.new" >"$folder/log" 2>&1 ||
        fail "$1" "Kafka's storage tool could not format $folder/data"
    mv "$folder/server.properties.new" "$folder/server.properties"
}

# The identity that all nodes of this stack have in common.
kafka_cluster_id() {
    [ -s "$DIR/cluster-id" ] || kafka_tool kafka.tools.StorageTool random-uuid >"$DIR/cluster-id"
    cat "$DIR/cluster-id"
}

# kafka_settings SERVICE: prints its settings. A template that does not name a port reserves none.
kafka_settings() {
    local settings folder=$1
    case $1 in
        controller) settings=$(cat "$here/stack/controller.properties") ;;
        kafka) settings=$(cat "$here/stack/server.properties") ;;
        kafka-*) settings=$(cat "$here/stack/server.properties" "$here/stack/cluster.properties") ;;
    esac
    case $settings in *@KAFKA_PORT@*)
        settings=${settings//@KAFKA_PORT@/"$(port "$folder/port")"}
        settings=$(kafka_add_proxied "$folder" "$settings")
        ;;
    esac
    settings=${settings//@CONTROLLER_PORT@/"$(port "$(kafka_controller_port)")"}
    settings=${settings//@NUMBER@/"${1#kafka-}"}
    settings=${settings//@BROKERS@/"$(brokers)"}
    printf '%s\n' "${settings//@DATA_DIR@/"$DIR/$folder/data"}"
}

# The file that names the port of the controller, relative to $DIR.
kafka_controller_port() { if [ "$(brokers)" = 1 ]; then echo kafka/controller-port; else echo controller/port; fi; }

# kafka_add_proxied FOLDER SETTINGS: prints them with the listeners for proxies.
kafka_add_proxied() {
    local listeners="" advertised="" protocols="" number folder=$1 settings=$2
    for ((number = 1; number <= ${STACK_PROXIES:-0}; number++)); do
        listeners+=,PROXIED$number://127.0.0.1:$(port "$folder/proxied-$number-port")
        advertised+=,PROXIED$number://127.0.0.1:$(port "$folder/proxy-$number-port")
        protocols+=,PROXIED$number:PLAINTEXT
    done
    settings=${settings//@PROXIED_LISTENERS@/"$listeners"}
    settings=${settings//@PROXIED_ADVERTISED@/"$advertised"}
    printf '%s\n' "${settings//@PROXIED_PROTOCOLS@/"$protocols"}"
}

# kafka_ready SERVICE: whether it responds. A broker lists the topics with Kafka's own tool, once the port is open (a JVM
# start costs a second or two).
kafka_ready() {
    local port
    port=$(cat "$DIR/$1/port")
    open "$port" || return
    [ "$1" != controller ] || return 0
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" \
        --command-config "$DIR/$1/client.properties" --list >/dev/null 2>&1
}

kafka_tool() { java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$KAFKA_HOME/libs/*" "$@"; }

# kafka_env SERVICE: settings for one broker; kafka_cluster_env for all of a cluster, whether or not each of them runs.
kafka_env() {
    local port
    port=$(cat "$DIR/$1/port")
    export_line LAKEHOUSE__KAFKA__BROKERS "127.0.0.1:$port"
    export_line STACK_KAFKA_PORT "$port"
    export_line STACK_KAFKA_PID "$(running "$1")"
    export_line STACK_KAFKA_LIBS "$KAFKA_HOME/libs"
}

kafka_cluster_env() {
    local number addresses=""
    for ((number = 1; number <= $(brokers); number++)); do
        addresses+=,127.0.0.1:$(cat "$DIR/kafka-$number/port")
    done
    export_line LAKEHOUSE__KAFKA__BROKERS "${addresses#,}"
    export_line STACK_BROKERS "$(brokers)"
    export_line STACK_KAFKA_LIBS "$KAFKA_HOME/libs"
}

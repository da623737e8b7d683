# shellcheck shell=bash
# MinIO as scripts/stack.sh runs it: one drive, $DIR/minio/data, with a bucket `lake` and its own password. Sourced by
# stack.sh. If STACK_PROXIES is N, ports are reserved for N proxies, in the files proxy-n-port.

readonly S3_USER=lambdalake
readonly S3_REGION=us-east-1

minio_start() {
    local folder=$DIR/minio port number
    mkdir -p "$folder/data"
    port=$(port minio/port)
    for ((number = 1; number <= ${STACK_PROXIES:-0}; number++)); do port "minio/proxy-$number-port" >/dev/null; done
    [ -s "$folder/password" ] || random_hex 16 >"$folder/password"
    # The path of the drive must begin with our folder: it identifies the process (process.sh).
    MINIO_ROOT_USER=$S3_USER MINIO_ROOT_PASSWORD=$(cat "$folder/password") \
        MINIO_REGION=$S3_REGION MINIO_BROWSER=off MINIO_UPDATE=off \
        launch minio "$MINIO_HOME/minio" server "$folder/data" --address "127.0.0.1:$port"
}

minio_await() {
    wait_ready minio 60
    minio_create_bucket "$(cat "$DIR/minio/port")" || fail minio "MinIO did not make the bucket lake"
}

minio_ready() {
    local port
    port=$(cat "$DIR/minio/port")
    curl --silent --fail --max-time 5 --noproxy '*' --output /dev/null "http://127.0.0.1:$port/minio/health/live"
}

# A signed PUT, which also checks that the password is valid and that writing works.
minio_create_bucket() {
    local code
    code=$(curl --silent --max-time 20 --noproxy '*' --output /dev/null --write-out '%{http_code}' \
        --aws-sigv4 "aws:amz:$S3_REGION:s3" --config - --request PUT "http://127.0.0.1:$1/lake" \
        <<<"user = \"$S3_USER:$(cat "$DIR/minio/password")\"")
    [ "$code" = 200 ] || [ "$code" = 409 ] # 409: it is there and ours
}

random_hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

minio_env() {
    local port
    port=$(cat "$DIR/minio/port")
    export_line LAKEHOUSE__LAKE__STORAGE__ENDPOINT "http://127.0.0.1:$port"
    export_line LAKEHOUSE__LAKE__STORAGE__REGION "$S3_REGION"
    export_line LAKEHOUSE__LAKE__STORAGE__ACCESS_KEY_ID "$S3_USER"
    export_line LAKEHOUSE__LAKE__STORAGE__SECRET_ACCESS_KEY "$(cat "$DIR/minio/password")"
    export_line LAKEHOUSE__LAKE__STORAGE__ALLOW_HTTP true
    export_line STACK_MINIO_PORT "$port"
    export_line STACK_MINIO_PID "$(running minio)"
}

# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# Redis: its own bookkeeping asks malloc_usable_size for each block; it forks with a full heap.

redis_call() {
    under redis-cli -p "$port" "$@"
}

# Every type and encoding, by a generator that needs no seed.
redis_commands() {
    awk 'BEGIN {
        for (i = 0; i < 20000; i++) {
            print "SET s:" i " " sprintf("%0" (i % 200 + 1) "d", i)
            print "APPEND s:" (i % 3000) " " i
            print "HSET h:" (i % 200) " f" (i * 7 % 901) " v" i
            print "RPUSH l:" (i % 50) " e" i
            print "SADD set:" (i % 40) " " (i * 13 % 5003)
            print "ZADD z:" (i % 30) " " (i % 77) " m" (i * 3 % 4001)
            if (i % 5 == 0) print "DEL s:" (i * 11 % 20000)
            if (i % 9 == 0) print "LPOP l:" (i % 50)
            if (i % 11 == 0) print "SETRANGE s:" (i % 7000) " " (i % 4000) " x"
            if (i % 13 == 0) print "PFADD p:" (i % 5) " " i
            if (i % 17 == 0) print "XADD x:" (i % 5) " 1-" (i + 1) " f " i
        }
    }'
}

redis_up() {
    local debug=()
    # Before version 7 DEBUG is always there, and this option unknown.
    [[ $(redis-server --version) == *v=[0-6].* ]] || debug=(--enable-debug-command local)
    port=$(free_port)
    server_start redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$PWD" \
        --appendonly no --io-threads 2 "${debug[@]}" "$@"
    server_ready redis_call PING
}

redis_digest() {
    local port
    redis_up --activedefrag no
    redis_commands | redis_call --pipe | tail -n 1
    redis_call DEBUG DIGEST
    redis_call EVAL 'local n = 0
        for _, key in ipairs(redis.call("keys", "s:*")) do n = n + #redis.call("get", key) end
        return n' 0
    redis_call DEBUG RELOAD
    redis_call DEBUG DIGEST
    redis_call BGSAVE
    wait_for 30 redis_saved
    redis_call BGREWRITEAOF
    redis_call --no-raw DBSIZE
    redis_call SORT set:3 LIMIT 0 2000 | digest
    redis_call FLUSHALL
    redis_call DEBUG DIGEST
    server_stop
}

redis_saved() {
    redis_call INFO persistence | grep -q '^rdb_bgsave_in_progress:0' &&
        redis_call INFO persistence | grep -q '^rdb_last_bgsave_status:ok'
}

# The figures differ from run to run; that each test ran, and what is left in the base, does not.
redis_benchmark() {
    local port
    redis_up
    under redis-benchmark -p "$port" -n 20000 -c 20 -P 8 -d 100 -q \
        -t set,get,incr,lpush,rpop,sadd,hset,spop,zadd,lrange_100,mset | tr '\r' '\n' |
        sed -n 's/: [0-9.]* requests per second.*//p'
    redis_call STRLEN key:__rand_int__
    redis_call HLEN myhash
    server_stop
}

program redis-digest quick 120 both redis_digest
program redis-benchmark quick 120 both redis_benchmark

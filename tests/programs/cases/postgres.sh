# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# PostgreSQL: a process a connection, arenas over malloc, LLVM loaded at run time.

# It refuses to be root.
as_postgres=()
((EUID != 0)) || as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups --)

postgres_up() {
    local bin
    bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1)")
    PATH=$bin:$PATH
    export PGHOST=127.0.0.1 PGUSER=tester PGDATABASE=postgres PGPORT
    PGPORT=$(free_port)
    mkdir data
    ((EUID != 0)) || chown postgres data
    cd data || return
    require_child postgres
    under "${as_postgres[@]}" initdb -D . -U tester -A trust --no-sync --locale=C -E UTF8 >&2
    server_start "${as_postgres[@]}" postgres -D . -p "$PGPORT" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off "$@"
    server_ready pg_isready
}

# The clients' random numbers are seeded: which transactions run is known, their order is not, and
# does not change the sums.
postgres_pgbench() {
    postgres_up
    under pgbench -i -s 4 -q 2>/dev/null
    under pgbench -n -c 6 -j 3 -t "$1" --random-seed=5 >&2
    under pgbench -n -c 4 -j 2 -t "$1" -S -M prepared --random-seed=6 >&2
    under psql -At -c 'SELECT count(*), sum(delta) FROM pgbench_history' \
        -c 'SELECT sum(abalance) FROM pgbench_accounts' \
        -c 'SELECT sum(tbalance) FROM pgbench_tellers' \
        -c 'VACUUM FULL ANALYZE' \
        -c 'SELECT md5(string_agg(aid || $$:$$ || abalance, $$,$$ ORDER BY aid))
            FROM pgbench_accounts'
    server_stop INT
}

postgres_queries() {
    postgres_up -c max_worker_processes=8
    under psql -At -v ON_ERROR_STOP=1 -f "$inputs/queries.sql"
    # Newer ones print a random token in two lines that start with a backslash.
    under pg_dump -t item | grep -vE '^(--|\\)' | digest
    server_stop INT
}

program postgres-pgbench full 240 both postgres_pgbench 700
program postgres-queries full 240 both postgres_queries

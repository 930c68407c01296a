# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# MariaDB: the server that people most often preload another allocator into; a thread a connection.

mariadb_client() {
    under mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$port" -u root -N -B "$@"
}

mariadb_load() {
    cat <<'SQL'
CREATE DATABASE test;
USE test;
CREATE TABLE item (id INT PRIMARY KEY, grp INT, name VARCHAR(40), body TEXT, KEY (grp),
    KEY (name)) ENGINE=InnoDB;
INSERT INTO item SELECT seq, seq * 7919 % 997, md5(seq),
    repeat(char(97 + seq % 26), seq % 500) FROM seq_1_to_30000;
CREATE TABLE other (KEY (name)) ENGINE=Aria AS SELECT * FROM item;
SELECT md5(group_concat(n ORDER BY grp)) FROM
    (SELECT grp, count(*) + sum(length(body)) n FROM item GROUP BY grp) g;
SELECT count(*), sum(a.id % 1000) FROM item a JOIN other b ON a.name = b.name AND a.grp <= b.grp;
SELECT sum(r) FROM (SELECT row_number() OVER (PARTITION BY grp ORDER BY name) r FROM item) w;
UPDATE item SET body = upper(body) WHERE grp % 3 = 0;
DELETE FROM item WHERE grp % 7 = 2;
ALTER TABLE item ADD COLUMN more JSON, ALGORITHM=COPY;
UPDATE item SET more = json_object('id', id, 'list', json_array(grp, name));
SELECT sum(json_value(more, '$.list[0]')) FROM item;
OPTIMIZE TABLE item;
CHECKSUM TABLE item, other;
SQL
}

mariadb_queries() {
    local port account=() n clients=()
    port=$(free_port)
    ((EUID != 0)) || account=(--user=root)
    mariadb-install-db --no-defaults "${account[@]}" --datadir="$PWD/base" --skip-test-db \
        --auth-root-authentication-method=normal >&2
    server_start mariadbd --no-defaults "${account[@]}" --datadir="$PWD/base" --port="$port" \
        --bind-address=127.0.0.1 --socket="$PWD/s" --skip-log-bin --innodb-flush-method=nosync \
        --innodb-buffer-pool-size=64M \
        --group-concat-max-len=1000000 --pid-file="$PWD/pid"
    server_ready mariadb_client -e 'SELECT 1'
    mariadb_load | mariadb_client
    for n in 1 2 3 4; do
        mariadb_client test -e "
            SELECT md5(group_concat(name ORDER BY body, id)) FROM item WHERE grp % 40 = $n;
            CREATE TEMPORARY TABLE t$n AS SELECT * FROM other WHERE grp % 4 = $n;
            SELECT count(*), max(name) FROM t$n;" >"client.$n" &
        clients+=("$!")
    done
    for n in "${clients[@]}"; do wait "$n"; done
    cat client.*
    server_stop
}

program mariadb-queries full 300 both mariadb_queries

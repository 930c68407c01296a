# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# SQLite: joins, full-text search, JSON, window functions, a schema changed under way.

sqlite_script() {
    cat <<'SQL'
PRAGMA cache_size = 300;
CREATE TABLE item (id INTEGER PRIMARY KEY, grp INTEGER, name TEXT, body BLOB);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO item SELECT i, i * 7919 % 997, printf('name-%05d', i * 31 % 60007),
    zeroblob(i % 300) FROM n;
CREATE INDEX by_group ON item (grp, name);
CREATE INDEX by_name ON item (name);
SELECT grp, count(*), sum(length(body)), group_concat(id % 10, '')
    FROM item GROUP BY grp ORDER BY grp;
SELECT name, row_number() OVER (PARTITION BY grp ORDER BY name DESC),
    lag(id, 3) OVER (ORDER BY name) FROM item WHERE grp < 40 ORDER BY 1;
SELECT count(*) FROM item a JOIN item b ON a.grp = b.grp AND a.id < b.id AND b.id < 9000;
CREATE VIRTUAL TABLE words USING fts5 (text);
INSERT INTO words SELECT name || ' ' || grp || ' ' || replace(name, 'name', 'word') FROM item;
SELECT count(*), max(rowid) FROM words WHERE words MATCH '"17" OR word*';
SELECT sum(json_array_length(j)) FROM (SELECT json_group_array(name) j FROM item GROUP BY grp);
UPDATE item SET name = upper(name), body = x'00ff' WHERE grp % 3 = 0;
DELETE FROM item WHERE grp % 5 = 1;
ALTER TABLE item ADD COLUMN more TEXT DEFAULT 'x';
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(id), max(name), min(more) FROM item;
.dump item
SQL
}

sqlite_memory() {
    sqlite_script | under sqlite3 -bail "$1" | tee full | digest
    tail -n 1 full
    wc -l <full
}

program sqlite-memory quick 120 both sqlite_memory :memory:
program sqlite-file full 180 both sqlite_memory base.db

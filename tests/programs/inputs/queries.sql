-- SPDX-License-Identifier: MIT
-- Sorts, hash joins, aggregates, JSON, a procedure with exceptions, parallel workers and the
-- just-in-time compiler; each answer is a digest or a figure.
\set QUIET on
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE item AS SELECT i AS id, i * 7919 % 9973 AS grp, md5(i::text) AS name,
    repeat(chr(97 + i % 26), i % 400) AS body FROM generate_series(1, 150000) i;
CREATE INDEX ON item (grp);
CREATE INDEX ON item USING gin (to_tsvector('simple', name));
ANALYZE item;
SELECT count(*), md5(string_agg(n::text, ',' ORDER BY grp))
    FROM (SELECT grp, count(*) + sum(length(body)) AS n FROM item GROUP BY grp) g;
SET work_mem = '256kB';
SELECT count(*), sum(a.id % 1000) FROM item a JOIN item b ON a.name = b.name AND a.grp <= b.grp;
SELECT md5(string_agg(name, '' ORDER BY body, name)) FROM item WHERE id % 10 = 0;
RESET work_mem;
SELECT md5(jsonb_agg(jsonb_build_object('g', grp, 'n', n) ORDER BY grp)::text)
    FROM (SELECT grp, array_agg(id ORDER BY id) AS n FROM item WHERE grp < 2000 GROUP BY grp) g;
SELECT count(*) FROM item WHERE to_tsvector('simple', name) @@ to_tsquery('simple', 'c4:*');
SELECT count(*), count(DISTINCT m) FROM
    (SELECT regexp_matches(name, '([a-f]+)([0-9]+)') AS m FROM item) r;
SET jit = on;
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
SELECT sum((id * 3 + grp) % 17), avg(length(body))::numeric(10, 4)
    FROM item WHERE id % 3 + grp % 5 > 2;
SET jit = off;
DO $$
DECLARE
    row record;
    bad integer := 0;
BEGIN
    FOR row IN SELECT * FROM item WHERE id <= 20000 LOOP
        BEGIN
            PERFORM 1 / (row.grp % 3);
        EXCEPTION WHEN division_by_zero THEN
            bad := bad + 1;
        END;
    END LOOP;
    CREATE TABLE outcome AS SELECT bad;
END $$;
SELECT * FROM outcome;
WITH RECURSIVE tree(id, path) AS (
    SELECT 1, ARRAY[1] UNION ALL
    SELECT t.id * 2 + k, path || (t.id * 2 + k) FROM tree t, generate_series(0, 1) k
    WHERE t.id < 8000)
SELECT count(*), md5(string_agg(path::text, '' ORDER BY path)) FROM tree;

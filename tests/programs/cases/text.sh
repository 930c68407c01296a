# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2028,SC2034,SC2154 # names shared with the other files
# The small tools that scripts are made of; each a different habit of allocating.

text_data() {
    seq 1 "$1" | awk '{ printf "{\"id\":%d,\"key\":\"k%d\",\"list\":[%d,%d,\"%s\"]}\n",
        $1, $1 * 7919 % 997, $1 % 7, $1 % 11, substr("abcdefghij", $1 % 9, 5) }'
}

text_gawk() {
    sees_library gawk '{ print }' /proc/self/maps
    text_data 60000 | under gawk -F'[":,{}]+' '
        { seen[$5][$3 % 50] = seen[$5][$3 % 50] substr($0, 10, 12); delete seen[$5][$3 % 3] }
        length(seen[$5]) > 40 { delete seen[$5] }
        END {
            PROCINFO["sorted_in"] = "@ind_str_asc"
            for (key in seen) for (part in seen[key]) print key, part, seen[key][part]
        }' | digest
    text_data 30000 |
        under gawk '{ gsub(/[0-9]+/, "<&>"); $3 = toupper($1) } END { print } 1' | digest
}

text_jq() {
    text_data 20000 | under jq -c -s 'group_by(.key) | map({key: .[0].key, n: length,
        ids: (map(.id) | add), list: (map(.list[2]) | unique)})' | digest
    text_data 5000 |
        under jq -r '[.id, .key, (.list | tostring | ascii_upcase | @base64)] | @csv' | digest
}

text_sort() {
    text_data 200000 >data
    under sort --parallel=4 -S 20M -t: -k3,3 -k2,2n data | digest
    under sort -R --random-source=data data | under uniq -c | digest
    under tr 0-9 a-j <data | under cut -d, -f2 | under sort -u | digest
    under split -n l/7 data part. && cat part.* | digest
    under tac data | under nl | under tail -n 1000 | digest
    { under diff <(sed -n 'p;p' data | sed -n '1~3p') data || (($? == 1)); } | digest
    under grep -cE '"k(1|22).*7\]|(ab|cd)+e' data
    under sed -E ':a;s/^([^:]*):(.*)$/\2=\1/;ta' <(head -n 20000 data) | digest
    under tar -cf - --sort=name --mtime=@0 --owner=0 --group=0 part.* | digest
    under find . -type f -printf '%P %s\n' | sort | digest
}

text_xslt() {
    {
        echo '<top>'
        seq 1 20000 | awk '{
            printf "<r id=\"%d\"><k>%d</k><v>t&amp;%d</v></r>\n", $1, $1 % 313, $1 * 3 }'
        echo '</top>'
    } >data.xml
    cat >style.xsl <<'END'
<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform">
<x:key name="by" match="r" use="k"/>
<x:template match="/top"><out>
<x:for-each select="r[@id &lt;= 313]"><x:sort select="k" order="descending"/>
<g k="{k}"><x:value-of select="count(key('by', k))"/>:
<x:value-of select="sum(key('by', k)/@id)"/></g>
</x:for-each></out></x:template></x:stylesheet>
END
    under xsltproc style.xsl data.xml | digest
}

text_rsync() {
    local i
    mkdir one two
    for ((i = 0; i < 200; i++)); do seq "$i" $((i * 20)) >"one/$i"; done
    under rsync -a --checksum one/ two/
    for ((i = 0; i < 200; i += 3)); do sed -i 's/7/seven/' "one/$i"; done
    under rsync -a --no-whole-file --delete --compress one/ two/
    cat two/* | digest
    diff -r one two
}

program text-gawk quick 60 both text_gawk
program text-jq quick 60 both text_jq
program text-coreutils quick 120 both text_sort
program text-xslt full 60 both text_xslt
program text-rsync full 60 both text_rsync

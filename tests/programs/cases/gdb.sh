# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names shared with the other files
# gdb: reads symbols on several threads, has Python inside, and calls malloc in the program that it
# debugs.

gdb_batch() {
    gcc -g -O0 -o program -x c - <<'END'
#include <stdio.h>
#include <stdlib.h>
struct node { int value; struct node *next; };
static int depth(int n) { return n == 0 ? 0 : 1 + depth(n - 1); }
int main(void)
{
    struct node *list = NULL;
    for (int i = 0; i < 50; i++) {
        struct node *node = malloc(sizeof *node);
        node->value = i * i;
        node->next = list;
        list = node;
    }
    printf("%d\n", depth(200));
    return list->value % 7;
}
END
    cat >script <<'END'
set pagination off
set debuginfod enabled off
set startup-with-shell off
break depth if n == 0
run
backtrace -3
print $_strlen("words")
up 201
print *list
print list->next->next->value
python
total, node = 0, gdb.parse_and_eval("list")
while node:
    total += int(node["value"])
    node = node["next"]
print("total", total)
print(len([str(i) for i in range(200000)]))
end
print ((char *(*)(unsigned long)) malloc)(100) != 0
ptype struct node
info line main
delete
continue
END
    under gdb -nx -batch -x script ./program 2>gdb.err | sed -E 's/0x[0-9a-f]+/ADDRESS/g' >out
    cat gdb.err >&2
    grep -E '^(\$|total|#[0-9]|200|type|\[Inferior|    )' out | sed -E 's/process [0-9]+/process N/'
    grep -q '^total 40425' out || fail 'gdb could not run the program'
}

program gdb-batch full 90 both gdb_batch

<?php
// SPDX-License-Identifier: MIT
// Arrays, strings, the extensions that are loaded with dlopen, and child processes; every figure
// printed follows from the seed.
mt_srand(11);

function name_of($value): string
{
    return substr(hash('sha256', is_string($value) ? $value : serialize($value)), 0, 24);
}

function random_tree(int $depth): array
{
    $tree = [];
    for ($i = 0; $i < 5; $i++) {
        $tree['k' . mt_rand(0, 40)] =
            $depth ? random_tree($depth - 1) : str_repeat('v', mt_rand(1, 60));
    }
    return $tree;
}

$trees = array_map(fn($i) => random_tree(4), range(1, 60));
$json = json_encode($trees);
printf("json %s %d\n", name_of($json), json_decode($json, true) == $trees);
printf("serialize %d\n", unserialize(serialize($trees)) == $trees);

$document = new DOMDocument('1.0', 'UTF-8');
$top = $document->appendChild($document->createElement('top'));
for ($i = 0; $i < 5000; $i++) {
    $item = $top->appendChild($document->createElement('item', "text $i"));
    $item->setAttribute('id', (string)($i * 31 % 1009));
}
$xml = $document->saveXML();
$found = (new DOMXPath($document))->query('//item[@id mod 7 = 3]')->length;
printf("xml %s %d %d\n", name_of($xml), count(simplexml_load_string($xml)->item), $found);

$collator = new Collator('de_DE');
$words = ['Äpfel', 'Zebra', 'apfel', 'Öl', 'ol', 'ähnlich', 'zart'];
$collator->sort($words);
printf("intl %s\n", implode(' ', $words));
$formatter = new NumberFormatter('fr_FR', NumberFormatter::SPELLOUT);
$spelled = array_map(fn($n) => $formatter->format($n), range(1, 2000));
printf("spelled %s\n", name_of(implode(',', $spelled)));
printf("mbstring %s\n", name_of(mb_convert_case(str_repeat('straße ', 20000), MB_CASE_UPPER)));

$base = new PDO('sqlite::memory:');
$base->exec('create table t (a integer, b text)');
$insert = $base->prepare('insert into t values (?, ?)');
$base->beginTransaction();
for ($i = 0; $i < 20000; $i++) {
    $insert->execute([$i * 37 % 1013, "row $i"]);
}
$base->commit();
$rows = $base->query('select a, count(*), max(b) from t group by a order by a')->fetchAll();
printf("sqlite %s\n", name_of($rows));

$text = preg_replace_callback('/([a-z])(\d+)/', fn($m) => $m[2] . $m[1], str_repeat($json, 2));
printf("regex %s\n", name_of($text));

$grown = '';
for ($i = 0; $i < 300000; $i++) {
    $grown .= dechex(mt_rand(0, 1 << 20));
    if (strlen($grown) > 200000) {
        $grown = substr($grown, 100000);
    }
}
printf("string %s\n", name_of($grown));

class Node
{
    public array $others = [];
    public ?Node $next = null;
}
for ($round = 0; $round < 20; $round++) {
    $nodes = [];
    for ($i = 0; $i < 5000; $i++) {
        $nodes[] = new Node();
        $nodes[$i]->next = $nodes[mt_rand(0, $i)];
        $nodes[$i]->others[] = $nodes[mt_rand(0, $i)];
    }
}
unset($nodes);
printf("cycles %d\n", gc_collect_cycles() >= 0);

for ($i = 0; $i < 4; $i++) {
    $child = pcntl_fork();
    if ($child === 0) {
        exit(strlen(name_of(array_fill(0, 50000, "child $i"))) % 100);
    }
    pcntl_waitpid($child, $status);
    printf("child %d\n", pcntl_wexitstatus($status));
}

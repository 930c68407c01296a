# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016,SC2028,SC2034,SC2154 # names shared with the other files
# Runtimes that bring a heap of their own: a conservative collector that scans for roots, a Lisp
# that loads its image at fixed addresses, a virtual machine with an allocator for each purpose, a
# Prolog that is linked with another malloc.

guile_run() {
    under guile --no-auto-compile -c '
        (use-modules (ice-9 threads) (srfi srfi-1))
        (define (churn n)
          (let ((table (make-hash-table)))
            (do ((i 0 (+ i 1))) ((= i 60000))
              (hash-set! table (modulo (* i n) 1009) (make-string (modulo i 200) #\x)))
            (hash-fold (lambda (k v sum) (+ sum (* k (string-length v)))) 0 table)))
        (display (par-map churn (iota 8 3))) (newline)
        (display (modulo (fold * 1 (iota 2000 1)) 1000003)) (newline)
        (gc)
        (display (string-length (number->string (expt 7 20000)))) (newline)
        (display (length (sort (map (lambda (i) (modulo (* i 7919) 1009)) (iota 50000)) <)))'
    echo
}

sbcl_run() {
    under sbcl --noinform --disable-ldb --no-sysinit --no-userinit --non-interactive --eval '
        (let ((table (make-hash-table :test (function equal))) (total 0))
          (dotimes (i 100000)
            (setf (gethash (format nil "k~d" (mod (* i 7919) 4001)) table)
                  (make-string (mod i 200) :initial-element #\x)))
          (maphash (lambda (k v) (incf total (+ (length k) (length v)))) table)
          (format t "~d ~d~%" (hash-table-count table) total)
          (dotimes (round 4)
            (let ((kept (make-array 1000 :initial-element 0)))
              (dotimes (i 200000)
                (let ((place (mod (* i 7) 1000)))
                  (sb-alien:alien-funcall (sb-alien:extern-alien "free"
                    (function sb-alien:void sb-alien:unsigned-long)) (aref kept place))
                  (setf (aref kept place)
                    (sb-alien:alien-funcall (sb-alien:extern-alien "malloc"
                      (function sb-alien:unsigned-long sb-alien:unsigned-long))
                      (1+ (mod (* i 31) 3000))))))
              (sb-ext:gc :full t)))
          (format t "~d~%" (mod (expt 7 20000) 1000003)))'
}

erlang_run() {
    sees_library erl -noshell -eval \
        '{ok, Maps} = file:read_file("/proc/self/maps"), io:put_chars(Maps), halt(0).'
    under erl -noshell -noinput +S 2:2 "$@" -eval '
        Work = fun(N) ->
            lists:foldl(fun(I, Map) ->
                Map#{(I * N) rem 1009 => binary:copy(<<"x">>, I rem 300)} end,
                #{}, lists:seq(1, 6000))
        end,
        Self = self(),
        Pids = [spawn(fun() -> Self ! {self(), erlang:phash2(Work(N))} end) ||
            N <- lists:seq(1, 40)],
        io:format("~p~n", [[receive {P, R} -> R end || P <- Pids]]),
        T = ets:new(t, [public]),
        [ets:insert(T, {I rem 5003, lists:duplicate(I rem 50, I)}) || I <- lists:seq(1, 100000)],
        io:format("~p ~p~n", [ets:info(T, size), erlang:phash2(lists:sort(ets:tab2list(T)))]),
        Packed = zlib:compress(term_to_binary(lists:seq(1, 100000))),
        io:format("~p~n", [length(binary_to_term(zlib:uncompress(Packed)))]),
        garbage_collect(), halt(0).'
}

swipl_run() {
    under swipl -q -f none -g '
        numlist(1, 40000, L),
        maplist([X, Y]>>(Y is X * 7919 mod 10007), L, M), msort(M, S), sumlist(S, T),
        format("~w~n", [T]),
        forall(member(X, M), (atom_concat(key, X, K), assertz(fact(K, X)))),
        aggregate_all(count, fact(_, _), C), format("~w~n", [C]),
        findall(P, (between(1, 8, N), thread_create((findall(Z, (between(1, 30000, Q),
            Z is Q * N mod 101), Zs), sumlist(Zs, R), thread_exit(R)), P)), Ps),
        forall(member(P, Ps), (thread_join(P, exited(R)), format("~w~n", [R]))),
        retractall(fact(_, _)), garbage_collect_atoms, garbage_collect' -t halt
}

tcl_run() {
    echo '
        for {set i 0} {$i < 100000} {incr i} { append table([expr {$i * 7919 % 997}]) $i, }
        set all {}
        foreach key [lsort -integer [array names table]] {
            lappend all $key [string length $table($key)]
        }
        puts [llength $all]
        puts [string length [regsub -all {(\d)(\d)} [join $all " "] {\2-\1}]]
        for {set i 0} {$i < 300} {incr i} {
            interp create child$i
            child$i eval "set x \[lrepeat 500 word$i\]; proc f {n} {expr {\$n * 2}}; f $i"
            if {$i % 3} { interp delete child$i }
        }
        puts [llength [interp children]]
        puts [string length [expr {7 ** 5000}]]' | under tclsh
}

program guile-churn full 120 both guile_run
program sbcl-churn full 120 both sbcl_run
program erlang-churn full 120 both erlang_run
program erlang-malloc full 120 both erlang_run +Mea min
program swipl-churn full 120 both swipl_run
program tcl-churn full 90 both tcl_run

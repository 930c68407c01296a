// SPDX-License-Identifier: MIT

// The rows of bench/gc, by the same names, as Go has them. usage: gc ROW [quick]
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"time"
)

// --- Binary trees ---

type tree struct{ left, right *tree }

func makeTree(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{makeTree(depth - 1), makeTree(depth - 1)}
}

func (t *tree) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func expect(nodes, trees, depth int) {
	if nodes != trees*(2<<depth-1) {
		panic("a node was lost")
	}
}

func workTrees(most int) {
	expect(makeTree(most+1).count(), 1, most+1)
	lasting := makeTree(most)
	for depth := 4; depth <= most; depth += 2 {
		trees, nodes := 1<<(most-depth+4), 0
		for i := 0; i < trees; i++ {
			nodes += makeTree(depth).count()
		}
		expect(nodes, trees, depth)
	}
	expect(lasting.count(), 1, most)
}

func trees(threads int, quick bool) {
	depth := 18
	if quick {
		depth = 10
	}
	start := time.Now()
	var all sync.WaitGroup
	for i := 0; i < threads; i++ {
		all.Add(1)
		go func() {
			workTrees(depth)
			all.Done()
		}()
	}
	all.Wait()
	fmt.Printf("wall %.4f\n", time.Since(start).Seconds())
}

// --- GCBench ---

type node struct {
	left, right   *node
	first, second int
}

var last *node

func bottomUp(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: bottomUp(depth - 1), right: bottomUp(depth - 1)}
}

func topDown(n *node, depth int) {
	if depth == 0 {
		return
	}
	n.left, n.right = &node{}, &node{}
	topDown(n.left, depth-1)
	topDown(n.right, depth-1)
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func graph(quick bool) {
	depth, largest := 20, 16
	if quick {
		depth, largest = 12, 8
	}
	start := time.Now()
	lasting := bottomUp(depth)
	array := make([]byte, 1<<20)
	for i := range array {
		array[i] = byte(i)
	}
	for i := 4; i <= largest; i += 2 {
		for trees := 2 << (largest + 2 - i); trees > 0; trees-- {
			last = &node{}
			topDown(last, i)
			last = bottomUp(i)
		}
	}
	if lasting.count() != 2<<depth-1 || array[1000] != byte(1000&255) {
		panic("a node was lost")
	}
	fmt.Printf("wall %.4f\n", time.Since(start).Seconds())
}

// --- The window ---

type link struct {
	next   *link
	number int
	rest   [2]int
}

const chainCount = 1024

var chains [chainCount]*link

func window(quick bool) {
	part := 1
	if quick {
		part = 1000
	}
	links, slots, pushes := (1<<25)/part, 200000/part, 5000000/part
	for i := 0; i < links; i++ {
		chains[i%chainCount] = &link{next: chains[i%chainCount], number: i}
	}
	held := make([][]byte, slots)
	worst := time.Duration(0)
	start := time.Now()
	before := start
	for i := 0; i < pushes; i++ {
		message := make([]byte, 1024)
		for j := range message {
			message[j] = byte(i)
		}
		held[i%slots] = message
		now := time.Now()
		if now.Sub(before) > worst {
			worst = now.Sub(before)
		}
		before = now
	}
	fmt.Printf("rate %.1f\nworst %.4f\n", float64(pushes)/before.Sub(start).Seconds()/1e3,
		worst.Seconds()*1e3)
	found := 0
	for _, chain := range chains {
		for ; chain != nil; chain = chain.next {
			found++
		}
	}
	if found != links {
		panic("a link was lost")
	}
}

// --- Marking ---

type object struct {
	left, right *object
	rest        [4]int
}

func (o *object) count() int {
	if o == nil {
		return 0
	}
	return 1 + o.left.count() + o.right.count()
}

var root *object

func makeObjects(count int) {
	objects := make([]*object, count)
	for i := range objects {
		objects[i] = &object{}
	}
	random := uint64(88172645463325252)
	for i := count - 1; i > 0; i-- {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		other := random % uint64(i+1)
		objects[i], objects[other] = objects[other], objects[i]
	}
	for i, o := range objects {
		if 2*i+1 < count {
			o.left = objects[2*i+1]
		}
		if 2*i+2 < count {
			o.right = objects[2*i+2]
		}
	}
	root = objects[0]
}

func marking(quick bool) {
	count := 2 << 20
	if quick {
		count = 1 << 10
	}
	makeObjects(count)
	least := math.Inf(1)
	for i := 0; i < 5; i++ {
		start := time.Now()
		runtime.GC()
		least = math.Min(least, time.Since(start).Seconds())
	}
	if root.count() != count {
		panic("an object was lost")
	}
	fmt.Printf("each %.2f\n", least*1e9/float64(count))
}

// --- Figures ---

// The upper bound of the last bucket that holds a pause.
func longestStop() float64 {
	sample := []metrics.Sample{{Name: "/gc/pauses:seconds"}}
	metrics.Read(sample)
	histogram := sample[0].Value.Float64Histogram()
	longest := 0.0
	for i, count := range histogram.Counts {
		if count > 0 {
			longest = histogram.Buckets[i+1]
		}
	}
	return longest
}

func peakMegabytes() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f", &kilobytes); err == nil {
			return kilobytes / 1024
		}
	}
	return 0
}

func main() {
	quick := len(os.Args) > 2
	switch os.Args[1] {
	case "trees":
		trees(1, quick)
	case "trees2":
		trees(2, quick)
	case "graph":
		graph(quick)
	case "window":
		window(quick)
	case "marking":
		marking(quick)
	}
	fmt.Printf("rss %.2f\nstop %.4f\n", peakMegabytes(), longestStop()*1e3)
}

// SPDX-License-Identifier: MIT

// The rows of bench/coro/coro.c, as Go has them: what goalloc's figures stand beside.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	bursts = 60
	batch  = 1000
	rounds = 5000
)

func spawn() int {
	var wg sync.WaitGroup
	wg.Add(batch)
	for i := 0; i < batch; i++ {
		go wg.Done()
	}
	wg.Wait()
	return batch
}

func yield() int {
	var wg sync.WaitGroup
	wg.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			for i := 0; i < rounds; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return rounds
}

func pingPong() int {
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
	}()
	for i := 0; i < rounds; i++ {
		there <- i
		<-back
	}
	close(there)
	return rounds
}

func stream(room int) func() int {
	return func() int {
		c := make(chan int, room)
		go func() {
			for i := 0; i < rounds; i++ {
				c <- i
			}
		}()
		for i := 0; i < rounds; i++ {
			<-c
		}
		return rounds
	}
}

func parked(count int) func() int {
	return func() int {
		var wg sync.WaitGroup
		c := make(chan int)
		wg.Add(count)
		for i := 0; i < count; i++ {
			go func() {
				<-c
				wg.Done()
			}()
		}
		runtime.Gosched()
		close(c)
		wg.Wait()
		return count
	}
}

func afterStop() int {
	for i := 0; i < batch; i++ {
		time.AfterFunc(time.Second, func() {}).Stop()
	}
	return batch
}

// What a row does outside of what it measures.
var aside time.Duration

// Deadlines in an hour's time, in an order that no heap likes or fears.
func insert(count int) func() int {
	timers := make([]*time.Timer, count)
	random := uint64(1)
	return func() int {
		for i := range timers {
			random = random*6364136223846793005 + 1442695040888963407
			timers[i] = time.AfterFunc(time.Hour+time.Duration(random>>24), func() {})
		}
		start := time.Now()
		for _, timer := range timers {
			timer.Stop()
		}
		aside += time.Since(start)
		return count
	}
}

// The median of some bursts, of some milliseconds each.
func measure(f func() int) float64 {
	all := make([]float64, bursts)
	for i := range all {
		ops, start := 0, time.Now()
		aside = 0
		for time.Since(start) < 4*time.Millisecond {
			ops += f()
		}
		all[i] = float64((time.Since(start) - aside).Nanoseconds()) / float64(ops)
	}
	sort.Float64s(all)
	return all[bursts/2]
}

func main() {
	rows := []struct {
		name string
		run  func() int
	}{
		{"coro/spawn", spawn},
		{"coro/yield", yield},
		{"coro/parked/100000", parked(100000)},
		{"chan/ping_pong", pingPong},
		{"chan/stream/0", stream(0)},
		{"chan/stream/1", stream(1)},
		{"chan/stream/128", stream(128)},
		{"timer/after_stop", afterStop},
		{"timer/insert/100000", insert(100000)},
	}
	for _, row := range rows {
		if len(os.Args) < 2 || strings.Contains(row.name, os.Args[1]) {
			fmt.Printf("%-22s %.1f\n", row.name, measure(row.run))
		}
	}
}

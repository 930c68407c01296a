// SPDX-License-Identifier: MIT

// The rows of bench/coro/channels.c, by the same names, as Go has them. CPU time, least of bursts.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	bursts = 9
	many   = 200000
)

func pingPong(count int) {
	a, b := make(chan int), make(chan int)
	go func() {
		for i := 0; i < count; i++ {
			b <- <-a
		}
	}()
	for i := 0; i < count; i++ {
		a <- i
		<-b
	}
}

func alone(count int) {
	c := make(chan int, 1)
	for i := 0; i < count; i++ {
		c <- i
		<-c
	}
}

func stream(room, each int) func(int) {
	return func(count int) {
		c := make(chan int, room)
		var wg sync.WaitGroup
		wg.Add(2 * each)
		for i := 0; i < each; i++ {
			go func() {
				for i := 0; i < count/each; i++ {
					c <- i
				}
				wg.Done()
			}()
			go func() {
				for i := 0; i < count/each; i++ {
					<-c
				}
				wg.Done()
			}()
		}
		wg.Wait()
	}
}

func selectReady2(count int) {
	a, b := make(chan int, 1), make(chan int, 1)
	a <- 1
	b <- 1
	for i := 0; i < count; i++ {
		select {
		case <-a:
			a <- 1
		case <-b:
			b <- 1
		}
	}
}

func eight(room int) (c [8]chan int) {
	for i := range c {
		c[i] = make(chan int, room)
	}
	return
}

func selectReady8(count int) {
	c := eight(1)
	for i := range c {
		c[i] <- 1
	}
	for i := 0; i < count; i++ {
		select {
		case <-c[0]:
			c[0] <- 1
		case <-c[1]:
			c[1] <- 1
		case <-c[2]:
			c[2] <- 1
		case <-c[3]:
			c[3] <- 1
		case <-c[4]:
			c[4] <- 1
		case <-c[5]:
			c[5] <- 1
		case <-c[6]:
			c[6] <- 1
		case <-c[7]:
			c[7] <- 1
		}
	}
}

func produce(c chan int, count int) {
	for i := 0; i < count; i++ {
		c <- i
	}
}

func selectBlocking2(count int) {
	a, b := make(chan int), make(chan int)
	go produce(a, count)
	for i := 0; i < count; i++ {
		select {
		case <-a:
		case <-b:
		}
	}
}

func selectBlocking8(count int) {
	c := eight(0)
	go produce(c[3], count)
	for i := 0; i < count; i++ {
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		case <-c[4]:
		case <-c[5]:
		case <-c[6]:
		case <-c[7]:
		}
	}
}

var mutex sync.Mutex
var rwmutex sync.RWMutex

func lockAlone(count int) {
	for i := 0; i < count; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
}

func lockContended(count int) {
	var wg sync.WaitGroup
	wg.Add(4)
	for i := 0; i < 4; i++ {
		go func() {
			lockAlone(count / 4)
			wg.Done()
		}()
	}
	wg.Wait()
}

func readAlone(count int) {
	for i := 0; i < count; i++ {
		rwmutex.RLock()
		rwmutex.RUnlock()
	}
}

func waitGroup(count int) {
	var wg sync.WaitGroup
	for i := 0; i < count; i++ {
		wg.Add(1)
		wg.Done()
		wg.Wait()
	}
}

var onceDone sync.Once

func once(count int) {
	for i := 0; i < count; i++ {
		onceDone.Do(func() {})
	}
}

func withCancel(count int) {
	for i := 0; i < count; i++ {
		_, cancel := context.WithCancel(context.Background())
		cancel()
	}
}

func withChild(count int) {
	parent, end := context.WithCancel(context.Background())
	defer end()
	for i := 0; i < count; i++ {
		_, cancel := context.WithCancel(parent)
		cancel()
	}
}

func withTimeout(count int) {
	for i := 0; i < count; i++ {
		_, cancel := context.WithTimeout(context.Background(), time.Hour)
		cancel()
	}
}

func median(run func(int)) float64 {
	each := make([]float64, bursts)
	for i := range each {
		start := time.Now()
		run(many)
		each[i] = float64(time.Since(start).Nanoseconds()) / many
	}
	sort.Float64s(each)
	return each[bursts/2]
}

func main() {
	rows := []struct {
		name string
		run  func(int)
	}{
		{"chan/round_trip", pingPong},
		{"chan/alone", alone},
		{"chan/1to1/0", stream(0, 1)},
		{"chan/1to1/1", stream(1, 1)},
		{"chan/1to1/128", stream(128, 1)},
		{"chan/1to1/1024", stream(1024, 1)},
		{"chan/4to4/0", stream(0, 4)},
		{"chan/4to4/128", stream(128, 4)},
		{"select/ready/2", selectReady2},
		{"select/ready/8", selectReady8},
		{"select/blocking/2", selectBlocking2},
		{"select/blocking/8", selectBlocking8},
		{"mutex/alone", lockAlone},
		{"mutex/4", lockContended},
		{"rwmutex/read", readAlone},
		{"waitgroup", waitGroup},
		{"once", once},
		{"context/cancel", withCancel},
		{"context/child", withChild},
		{"context/timeout", withTimeout},
	}
	for _, row := range rows {
		if len(os.Args) < 2 || strings.Contains(row.name, os.Args[1]) {
			fmt.Printf("%-22s %.1f\n", row.name, median(row.run))
		}
	}
}

// SPDX-License-Identifier: MIT

// Go's echo server, beside examples/echo.c. usage: echo PORT
package main

import (
	"fmt"
	"net"
	"os"
)

func serve(connection net.Conn) {
	buffer := make([]byte, 4096)
	for {
		got, err := connection.Read(buffer)
		if err != nil {
			break
		}
		if _, err := connection.Write(buffer[:got]); err != nil {
			break
		}
	}
	connection.Close()
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go serve(connection)
	}
}

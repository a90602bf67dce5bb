// Command etcd is etcd's own server, built beside the Kubernetes that uses it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }

// Command bench measures Backplane and bare peers side by side, in one run on
// one machine, and prints a table. Run it from the repository's root:
// `make bench`, or `go run ./bench -only grpc,rest -short`.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are how much is measured.
type options struct {
	rounds int           // how often Backplane and its peer take turns
	each   time.Duration // how long one turn of a load lasts
	large  int           // services in the large catalogue
	small  int           // services in the small one
	// databases is how many there are in the long list of them.
	databases int
	// routes is how many the gateway has where it has many.
	routes int
	idle   time.Duration // how long a server rests before its memory is read
	dir    string        // scratch folder
	binary string        // the built program
	// against is another build of the program to compare with, if any.
	against string
}

// measure is one group of figures.
type measure struct {
	name string
	run  func(*owner, options) []row
}

var measures = []measure{
	{"grpc", measureGRPC},
	{"rest", measureREST},
	{"auth", measureAuth},
	{"create", measureCreate},
	{"scale", measureScale},
	{"dbaas", measureDatabases},
	{"dbproxy", measureProxy},
	{"gateway", measureGateway},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		exit(servePeer(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == proxyCommand {
		exit(serveDBProxy(os.Args[2:]))
	}
	exit(benchmark())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func benchmark() error {
	var names []string
	for _, m := range measures {
		names = append(names, m.name)
	}
	only := flag.String("only", strings.Join(names, ","), "groups to measure")
	short := flag.Bool("short", false, "fewer rounds, a catalogue of 20,000 instead of 200,000, a tenth of the databases: for a first look")
	against := flag.String("against", "", "another build of Backplane, such as an older one, that the group auth compares a call with")
	flag.Parse()
	opts := options{rounds: 5, each: 2 * time.Second, large: 200_000, small: 1000, databases: 100_000, routes: 100_000, idle: 10 * time.Second, against: *against}
	if *short {
		opts.rounds, opts.each, opts.large, opts.databases, opts.idle = 2, time.Second, 20_000, 10_000, 3*time.Second
	}
	wanted := strings.Split(*only, ",")
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return fmt.Errorf("-only: %q is not one of %s", w, strings.Join(names, ", "))
		}
	}
	if *against != "" && !slices.Contains(wanted, "auth") {
		return errors.New("-against is for the group auth, which -only leaves out")
	}
	began, busy := time.Now(), machineLoad()
	var rows []row
	o := &owner{}
	err := o.run(func() {
		dir, err := os.MkdirTemp("", "backplane-bench-")
		o.must(err)
		o.Cleanup(func() { os.RemoveAll(dir) })
		opts.dir, opts.binary = dir, buildBackplane(o, dir)
		for _, m := range measures {
			if !slices.Contains(wanted, m.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "measuring %s…\n", m.name)
			part := &owner{}
			o.must(part.run(func() { rows = append(rows, m.run(part, opts)...) }))
		}
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d CPUs, %s, %s/%s; load %s before the start; took %s\n\n", runtime.NumCPU(), runtime.Version(),
		runtime.GOOS, runtime.GOARCH, busy, time.Since(began).Round(time.Second))
	printTable(os.Stdout, rows)
	return nil
}

// machineLoad is how busy the machine is with other work: the more, the less the
// figures tell.
func machineLoad() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	last, _, _ := strings.Cut(string(text), " ")
	return last
}

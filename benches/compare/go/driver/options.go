// Package driver is what the Go systems of the comparison share: the command line, the clients, the digest and
// the line of JSON. It is the counterpart of child.rs, load.rs and digest.rs, and speaks exactly as they do.
package driver

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options says what one child measures.
type Options struct {
	Clients   int
	Payload   int
	Transport string
	Log       string
	Setting   string
	Warm      time.Duration
	Run       time.Duration
	Rate      float64
	Reads     bool
	Data      string
	Recover   uint64
	Hold      bool
	// Flush is how long a flush of each node's slow log takes.
	Flush [Nodes]time.Duration
	// Apply is how long a state machine takes for a command.
	Apply time.Duration
	// Task is what is done with the nodes: load, catch-up, install or restart.
	Task string
	// Entries is how many commands are written before anything is measured, where the task is no load.
	Entries uint64
	// StateMiB is how large the state machines' state is beside what they know of commands.
	StateMiB uint64
	// Cuts is how many leaders are cut off from the others; 0 is the usual load.
	Cuts int
}

// Grows says whether the last node comes later, to a cluster of the others.
func (o Options) Grows() bool {
	return (o.Task == "catch-up" || o.Task == "install") && o.Recover == 0
}

// Founders is how many nodes are there at first.
func (o Options) Founders() int {
	if o.Grows() {
		return Nodes - 1
	}
	return Nodes
}

// Patience is how long the last node may take to get what there is: as in job.rs.
func (o Options) Patience() time.Duration {
	return time.Minute + time.Duration(o.Entries)*200*time.Microsecond +
		time.Duration(o.StateMiB)*100*time.Millisecond
}

// Nodes is how many nodes every cell has.
const Nodes = 3

// Parse reads the command line.
func Parse() Options {
	var o Options
	var warm, run int
	flag.IntVar(&o.Clients, "clients", 64, "clients, each with one operation on its way")
	flag.IntVar(&o.Payload, "payload", 256, "bytes in each command")
	flag.StringVar(&o.Transport, "transport", "memory", "memory or tcp")
	flag.StringVar(&o.Log, "log", "memory", "memory, disk or slow")
	flag.StringVar(&o.Setting, "setting", "", "which of the system's settings")
	flag.IntVar(&warm, "warm-ms", 1000, "milliseconds before the measurement")
	flag.IntVar(&run, "run-ms", 3000, "milliseconds that are measured")
	flag.Float64Var(&o.Rate, "rate", 0, "operations a second that are offered; 0 is a closed loop")
	flag.BoolVar(&o.Reads, "reads", false, "linearizable reads instead of writes")
	flag.StringVar(&o.Data, "data", "", "where durable logs go")
	flag.Uint64Var(&o.Recover, "recover", 0, "start from the data that is there and digest up to this index")
	flag.BoolVar(&o.Hold, "hold", false, "go on writing after the result until killed")
	flag.Bool("own-thread", false, "clients on a thread of their own; the scheduler decides here")
	flush := flag.String("flush-us", "5000,5000,5000", "microseconds of a flush of each node's slow log")
	apply := flag.Int("apply-us", 0, "microseconds that a state machine takes for a command")
	flag.IntVar(&o.Cuts, "cuts", 0, "leaders that are cut off from the others; 0 is the usual load")
	flag.StringVar(&o.Task, "task", "load", "load, catch-up, install or restart")
	flag.Uint64Var(&o.Entries, "entries", 0, "commands that are written before anything is measured")
	flag.Uint64Var(&o.StateMiB, "state-mib", 0, "how large the state is beside what it knows of commands")
	flag.Parse()
	for n, text := range strings.SplitN(*flush, ",", Nodes) {
		us, err := strconv.Atoi(text)
		if err != nil {
			flag.Usage()
			os.Exit(2)
		}
		o.Flush[n] = time.Duration(us) * time.Microsecond
	}
	o.Apply = time.Duration(*apply) * time.Microsecond
	o.Warm = time.Duration(warm) * time.Millisecond
	o.Run = time.Duration(run) * time.Millisecond
	return o
}

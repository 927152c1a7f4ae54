package driver

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// result is the line of JSON that child.rs writes too.
type result struct {
	Setting   string  `json:"setting"`
	OpsPerS   float64 `json:"ops_per_s"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	CPUPerOp  float64 `json:"cpu_us_per_op"`
	Acked     uint64  `json:"acked"`
	Index     uint64  `json:"index"`
	Sum       string  `json:"sum"`
	Agree     bool    `json:"agree"`
	RecoverMS float64 `json:"recover_ms,omitempty"`
	FlushUS   float64 `json:"flush_us"`
	ApplyUS   float64 `json:"apply_us"`
	PeakMiB   float64 `json:"peak_mib,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// Main measures the system that start brings up.
func Main(start func(Options) (System, error)) {
	o := Parse()
	began := time.Now()
	system, err := start(o)
	if err != nil {
		say(result{Setting: o.Setting, Error: err.Error()})
		os.Exit(1)
	}
	if o.Recover > 0 {
		say(recovered(o, system, began))
		return
	}
	if o.Cuts > 0 {
		cuttable, ok := system.(Cuttable)
		if !ok {
			say(result{Setting: o.Setting, Error: "no node of it can be cut off"})
			os.Exit(1)
		}
		say((&failover{options: o, system: cuttable}).run())
		os.Exit(0)
	}
	if o.Grows() {
		growing, ok := system.(Growing)
		if !ok {
			say(result{Setting: o.Setting, Error: "no node of it can come later"})
			os.Exit(1)
		}
		hold(o, grow(o, growing))
	}
	term := system.Term()
	m := run(o, system)
	r := judged(o, system, m)
	if system.Term() != term && r.Error == "" {
		r.Error = "the leader changed"
	}
	if o.Task != "load" {
		hold(o, r)
	}
	say(r)
	if o.Hold && r.Error == "" {
		o.Warm, o.Run = 0, time.Hour
		run(o, system)
	}
	os.Exit(0)
}

// hold tells a result and waits to be killed, if that is to come.
func hold(o Options, r result) {
	say(r)
	if o.Hold && r.Error == "" {
		select {}
	}
	os.Exit(0)
}

func judged(o Options, s System, m measured) result {
	us := func(quantile float64) float64 { return float64(m.times.ValueAtQuantile(quantile)) / 1e3 }
	r := result{
		Setting: o.Setting, OpsPerS: float64(m.ops) / m.seconds, P50: us(50), P99: us(99), P999: us(99.9),
		CPUPerOp: m.cpu * 1e6 / float64(max(1, m.ops)), Acked: m.acked.Count, Index: m.last,
		Sum: fmt.Sprintf("%016x", m.acked.Sum), Agree: true,
		FlushUS: flushes.meanUS(), ApplyUS: applies.meanUS(),
	}
	if m.err != nil {
		r.Error = m.err.Error()
	}
	for n, machine := range s.Machines() {
		waitFor(o, machine, m.last)
		_, digest, _, broken := machine.state()
		if digest != m.acked || broken {
			r.Agree = false
			fmt.Fprintf(os.Stderr, "node %d: %+v, acknowledged %+v, out of order %v\n", n+1, digest, m.acked, broken)
		}
	}
	return r
}

func recovered(o Options, s System, began time.Time) result {
	r := result{Setting: o.Setting, Index: o.Recover, Agree: true}
	var first Digest
	for n, machine := range s.Machines() {
		waitFor(o, machine, o.Recover)
		applied, _, prefix, broken := machine.state()
		if n == 0 {
			first = prefix
		}
		r.Agree = r.Agree && applied >= o.Recover && prefix == first && !broken
	}
	r.Acked, r.Sum = first.Count, fmt.Sprintf("%016x", first.Sum)
	r.RecoverMS = float64(time.Since(began).Microseconds()) / 1e3
	if o.Task == "restart" {
		r.took(s.Opened(), float64(o.Entries))
	}
	return r
}

// took makes the result one of an amount that took some time as a whole.
func (r *result) took(t time.Duration, amount float64) {
	us := float64(t) / 1e3
	r.OpsPerS, r.P50, r.P99, r.P999, r.PeakMiB = amount/t.Seconds(), us, us, us, peakMiB()
}

// peakMiB is the most memory that this process ever had.
func peakMiB() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

func waitFor(o Options, m *Machine, index uint64) {
	for until := time.Now().Add(o.Patience()); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if applied, _, _, _ := m.state(); applied >= index {
			return
		}
	}
}

func say(r result) {
	// A result whose pipe is closed has nobody to be told to.
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

package driver

import (
	"syscall"
	"time"
)

// slowFlush is how long the flush of a slow disk takes: as in sut/slow.rs.
const slowFlush = 5 * time.Millisecond

// SlowFlush takes as long as the flush of a slow disk, on a thread as a flush does: the runtime's own timers would
// round it up.
func SlowFlush() {
	until := time.Now().Add(slowFlush)
	for left := slowFlush; left > 0; left = time.Until(until) {
		pause := syscall.NsecToTimespec(int64(left))
		// An early return is followed by another round.
		_ = syscall.Nanosleep(&pause, nil)
	}
}

package ratelimiting

import "time"

// The windows.
const (
	second = iota
	minute
	hour
	day
	month
	year
	windowCount
)

// span is a window at one time: from its first second to the one after its
// last, both in seconds since 1970.
type span struct{ start, end int64 }

// spanAt is the window of the UTC calendar that a time is in.
func spanAt(window int, now time.Time) span {
	sec := now.Unix()
	switch window {
	case second:
		return span{sec, sec + 1}
	case minute:
		return aligned(sec, 60)
	case hour:
		return aligned(sec, 3600)
	case day:
		return aligned(sec, 86400)
	}
	y, m, _ := now.UTC().Date()
	if window == month {
		return span{date(y, m), date(y, m+1)}
	}
	return span{date(y, time.January), date(y+1, time.January)}
}

func aligned(sec, length int64) span {
	start := sec - sec%length
	return span{start, start + length}
}

func date(y int, m time.Month) int64 { return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Unix() }

package mariadbmon

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// everyDisk stands for the disks that no other threshold is for.
const everyDisk = "*"

// threshold is how full a disk may be.
type threshold struct {
	path    string
	percent int64
}

type thresholds []threshold

// parseThresholds reads path:percent,….
func parseThresholds(text string) (thresholds, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var list thresholds
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		i := strings.LastIndexByte(part, ':')
		if i <= 0 {
			return nil, errors.New("must be a list of path:percent")
		}
		percent, err := strconv.ParseInt(strings.TrimSpace(part[i+1:]), 10, 64)
		path := strings.TrimSpace(part[:i])
		if err != nil || percent < 0 || percent > 100 {
			return nil, errors.New("must have percents between 0 and 100")
		}
		if path != everyDisk && !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("has %q, which is neither an absolute path nor *", path)
		}
		list = append(list, threshold{path, percent})
	}
	return list, nil
}

// disk is a file system of a server.
type disk struct {
	path             string
	total, available int64
}

// full finds the first disk that is fuller than it may be.
func (list thresholds) full(disks []disk) (string, bool) {
	for _, d := range disks {
		if t, ok := list.of(d.path); ok && d.total > 0 && (d.total-d.available)*100 >= t*d.total {
			return d.path, true
		}
	}
	return "", false
}

func (list thresholds) of(path string) (percent int64, ok bool) {
	for _, t := range list {
		if t.path == path {
			return t.percent, true
		}
		if t.path == everyDisk {
			percent, ok = t.percent, true
		}
	}
	return percent, ok
}

package filter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxLogShown is how many bytes of a log are shown at most.
const maxLogShown = 16 << 20

// qlaLog is the command log.
func qlaLog(ctx context.Context, args []any) (any, error) {
	f, ok := args[0].(*qlaFilter)
	if !ok {
		return nil, errors.New("the filter is not a qlafilter")
	}
	if f.unified == nil {
		return nil, errors.New("the filter has no log of all sessions, as its log_type is not unified")
	}
	var bounds [2]int64
	for i := range bounds {
		if len(args) <= i+1 || args[i+1] == nil || args[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(fmt.Sprint(args[i+1]), 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%v is not the number of a line", args[i+1])
		}
		bounds[i] = n
	}
	if err := f.unified.sync(); err != nil {
		return nil, err
	}
	return f.lines(ctx, bounds[0], bounds[1])
}

// lines reads lines of the unified log: from start to before end, or to the
// last one if that is 0.
func (f *qlaFilter) lines(ctx context.Context, start, end int64) ([]string, error) {
	file, err := os.Open(f.unified.path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	lines, shown := []string{}, 0
	in := bufio.NewReader(file)
	for n := int64(0); (end == 0 || n < end) && ctx.Err() == nil; n++ {
		line, err := in.ReadString('\n')
		if n >= start && line != "" {
			if shown += len(line); shown > maxLogShown {
				break
			}
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return lines, ctx.Err()
}

package dbaas

import (
	"context"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
)

const (
	defaultPage = 10
	maxPage     = 100
)

// pageRequest is what the requests of all lists have.
type pageRequest interface {
	GetPage() string
	GetPageSize() string
	GetOrdering() string
	GetFilter() map[string]string
}

// page is one page of a list.
type page struct {
	number, size, count int
}

// pageOf finds the page that a request asks for in a list of count rows.
func pageOf(req pageRequest, count int) (page, error) {
	p := page{number: 1, size: defaultPage, count: count}
	if n, err := strconv.Atoi(req.GetPageSize()); err == nil && n > 0 {
		p.size = min(n, maxPage)
	}
	switch text := req.GetPage(); text {
	case "":
	case "last":
		p.number = p.pages()
	default:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > p.pages() {
			return p, missing()
		}
		p.number = n
	}
	return p, nil
}

// whole is the one page of a list that has no others.
func whole(count int) page { return page{number: 1, size: max(1, count), count: count} }

// pages is how many there are; an empty list has one.
func (p page) pages() int { return max(1, (p.count+p.size-1)/p.size) }

func (p page) offset() int { return (p.number - 1) * p.size }

// span says which rows to read: so many, after others. Stores step over each row
// before a page, so a page in the second half is read from the end.
func (p page) span() (offset, limit int, fromEnd bool) {
	offset = p.offset()
	limit = max(0, min(p.size, p.count-offset))
	if after := p.count - offset - limit; after < offset {
		return after, limit, true
	}
	return offset, limit, false
}

// links are those of the page. collection is its path where no REST request
// tells.
func (p page) links(ctx context.Context, collection string) *dbaasv1.ListLinks {
	u := requestURL(ctx)
	if u == nil {
		u = &url.URL{Path: "/api/" + collection + "/"}
	}
	out := &dbaasv1.ListLinks{Count: int64(p.count), Self: u.String()}
	at := func(n int) *string {
		next := *u
		q := next.Query()
		q.Set("page", strconv.Itoa(n))
		next.RawQuery = q.Encode()
		return proto.String(next.String())
	}
	if p.number > 1 {
		out.Previous = at(p.number - 1)
	}
	if p.number < p.pages() {
		out.Next = at(p.number + 1)
	}
	return out
}

// missing is the error of what does not exist, or may not be seen.
func missing() error { return &errs.Error{Reason: errs.NotFound, Message: "Not found"} }

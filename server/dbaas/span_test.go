package dbaas

import (
	"slices"
	"strconv"
	"testing"
)

// Pages that are read from either end of a list make up the whole list.
func TestPagesAreTheList(t *testing.T) {
	for count := range 30 {
		list := make([]int, count)
		for i := range list {
			list[i] = i
		}
		for size := 1; size <= 9; size++ {
			var got []int
			ends := 0
			for number := 1; number <= (page{size: size, count: count}).pages(); number++ {
				p, err := pageOf(asked{strconv.Itoa(number), strconv.Itoa(size)}, count)
				if err != nil {
					t.Fatal(err)
				}
				offset, limit, fromEnd := p.span()
				from := slices.Clone(list)
				if fromEnd {
					slices.Reverse(from)
					ends++
				}
				if offset > count/2 {
					t.Errorf("page %d of %d rows steps over %d", number, count, offset)
				}
				rows := from[offset : offset+limit]
				if fromEnd {
					slices.Reverse(rows)
				}
				got = append(got, rows...)
			}
			if !slices.Equal(got, list) {
				t.Errorf("%d rows in pages of %d: %v", count, size, got)
			}
			if count > 2*size && ends == 0 {
				t.Errorf("%d rows in pages of %d: none is read from the end", count, size)
			}
		}
	}
}

type asked struct{ page, size string }

func (a asked) GetPage() string              { return a.page }
func (a asked) GetPageSize() string          { return a.size }
func (a asked) GetOrdering() string          { return "" }
func (a asked) GetFilter() map[string]string { return nil }

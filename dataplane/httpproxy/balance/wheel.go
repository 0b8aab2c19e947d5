package balance

import "math/rand/v2"

// maxWheel bounds the memory of a wheel: of weights whose shares would need
// more places the shares are rounded.
const maxWheel = 1 << 18

// newWheel makes a wheel on which each member has places by its weight, in a
// random order. After one turn each was picked as often as its share.
func newWheel(members []member) []uint32 {
	divisor, total := 0, 0
	for _, m := range members {
		divisor = gcd(divisor, m.weight)
		total += m.weight
	}
	if total == 0 {
		return nil
	}
	divisor = max(divisor, (total+maxWheel-1)/maxWheel)
	wheel := make([]uint32, 0, total/divisor+len(members))
	for i, m := range members {
		for range max((m.weight+divisor/2)/divisor, 1) {
			wheel = append(wheel, uint32(i))
		}
	}
	rand.Shuffle(len(wheel), func(i, j int) { wheel[i], wheel[j] = wheel[j], wheel[i] })
	return wheel
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

package dbaas

// Points are the steps of each kind of operation, by the kind's name: where a
// program may be cut off.
func Points() map[string][]string {
	out := map[string][]string{}
	for _, k := range (&Admin{}).kinds() {
		for _, s := range k.Steps {
			out[k.Name] = append(out[k.Name], s.Name)
		}
	}
	return out
}

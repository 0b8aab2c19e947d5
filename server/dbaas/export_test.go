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

// Asking are the first steps of the kinds of operations that ask before they
// change anything, by the kind's name.
func Asking() map[string]string {
	out := map[string]string{}
	for _, k := range (&Admin{}).kinds() {
		if k.AsksFirst {
			out[k.Name] = k.Steps[0].Name
		}
	}
	return out
}

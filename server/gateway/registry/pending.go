package registry

type foundChange struct{ Level, Code, Method, Path, Text string }

func changesOf(before, after any) ([]foundChange, error) { return nil, nil }

package evloop

// Next is what a step of a task wants (Task.Serve).
type Next uint8

// What a step can want.
const (
	Wait   Next = iota // to be called when something has come
	Again              // to be called when others had their turn
	Resume             // that the task itself goes on
)

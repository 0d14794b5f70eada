// Package wheel has something to be traced.
package wheel

// Wheel counts its turns.
type Wheel struct{ turns int }

// Turn turns it.
//
//go:noinline
func (w *Wheel) Turn(n int) int {
	for range n {
		w.turns++
	}
	return w.turns
}
